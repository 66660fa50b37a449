//! The shape of the file: which sections and keys there are, and of what type. Nothing here knows
//! whether a value makes sense.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use vrrp::config::{Checksum, OnDegraded, Preempt};

use super::Role;
use super::error::{Fault, Problems};
use super::supervisor::{
    RawCerts, RawDocker, RawEtcd, RawImages, RawKubelet, RawKubernetes, RawSupervisor,
};

pub(super) type Text = Spanned<String>;
pub(super) type Number = Spanned<i64>;
pub(super) type Texts = Spanned<Vec<Text>>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) cluster: Section<RawCluster>,
    pub(super) node: Vec<Section<RawNode>>,
    #[serde(default)]
    pub(super) virtual_router: Vec<Section<RawVirtualRouter>>,
    #[serde(default)]
    pub(super) check: Vec<Section<RawCheck>>,
    pub(super) api: Option<Section<RawApi>>,
    pub(super) supervisor: Option<Section<RawSupervisor>>,
    pub(super) docker: Option<Section<RawDocker>>,
    pub(super) images: Option<Section<RawImages>>,
    pub(super) certs: Option<Section<RawCerts>>,
    pub(super) etcd: Option<Section<RawEtcd>>,
    pub(super) kubernetes: Option<Section<RawKubernetes>>,
    pub(super) kubelet: Option<Section<RawKubelet>>,
}

/// `[cluster]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    pub(super) name: Text,
    pub(super) api_port: Option<Number>,
}

/// `[[node]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNode {
    pub(super) name: Text,
    pub(super) role: Role,
    pub(super) addresses: Texts,
    /// By virtual router.
    pub(super) interface: Option<PerName<String>>,
}

/// `[[virtual_router]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVirtualRouter {
    pub(super) name: Text,
    pub(super) vrid: Number,
    pub(super) interface: Text,
    pub(super) addresses: Texts,
    pub(super) advert_interval: Option<Text>,
    /// By node.
    #[serde(default)]
    pub(super) priority: BTreeMap<Text, Number>,
    pub(super) preempt: Option<Spanned<Preempt>>,
    pub(super) transport: Option<Spanned<RawTransport>>,
    pub(super) peers: Option<Texts>,
    /// By node.
    pub(super) degraded_priority: Option<PerName<i64>>,
    pub(super) on_degraded: Option<Spanned<OnDegraded>>,
    pub(super) drain_timeout: Option<Text>,
    pub(super) virtual_mac: Option<Spanned<bool>>,
    pub(super) checksum: Option<Spanned<Checksum>>,
    pub(super) lease: Option<Text>,
    pub(super) checks: Option<Texts>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawTransport {
    Multicast,
    Unicast,
}

/// `[[check]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) name: Text,
    pub(super) https: Option<Text>,
    pub(super) http: Option<Text>,
    pub(super) tcp: Option<Text>,
    pub(super) exec: Option<Texts>,
    pub(super) interface: Option<Text>,
    pub(super) process: Option<Text>,
    pub(super) ca: Option<Text>,
    pub(super) cert: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) server_name: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) env: Option<Spanned<BTreeMap<Text, Text>>>,
    pub(super) interval: Option<Text>,
    pub(super) timeout: Option<Text>,
    pub(super) rise: Option<Number>,
    pub(super) fall: Option<Number>,
    pub(super) holder_fall: Option<Number>,
    pub(super) timeout_fall: Option<Number>,
    pub(super) hold_down: Option<Text>,
}

/// `[api]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApi {
    pub(super) metrics: Option<Text>,
    pub(super) metrics_public: Option<Spanned<bool>>,
}

/// A table of the file and its place. Unlike a bare struct it does not also read from a list.
pub(super) struct Section<T> {
    pub(super) span: Range<usize>,
    pub(super) value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Spanned::<Table<T>>::deserialize(deserializer)?;
        Ok(Self { span: table.span(), value: table.into_inner().0 })
    }
}

struct Table<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
            type Value = Table<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Table)
            }
        }

        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

/// One value for all, or a table with one each: `"bond0"` or `{ apiserver = "bond0" }`.
pub(super) enum PerName<T> {
    One(Spanned<T>),
    Each(BTreeMap<Text, Spanned<T>>),
}

impl<T> PerName<T> {
    /// The value for `name`.
    pub(super) fn of(&self, name: &str) -> Option<&Spanned<T>> {
        match self {
            Self::One(value) => Some(value),
            Self::Each(values) => values.get(name),
        }
    }

    /// The names that have a value of their own.
    pub(super) fn names(&self) -> impl Iterator<Item = &Text> {
        match self {
            Self::One(_) => None,
            Self::Each(values) => Some(values.keys()),
        }
        .into_iter()
        .flatten()
    }

    /// Checks each value. The wrong ones are reported and left out.
    pub(super) fn check<U>(
        self,
        problems: &mut Problems,
        rule: impl Fn(T) -> Result<U, Fault>,
    ) -> Option<PerName<U>> {
        match self {
            Self::One(value) => check(value, problems, rule).map(PerName::One),
            Self::Each(values) => Some(PerName::Each(check_each(values, problems, rule))),
        }
    }
}

/// Checks a value; a wrong one is reported.
pub(super) fn check<T, U>(
    value: Spanned<T>,
    problems: &mut Problems,
    rule: impl FnOnce(T) -> Result<U, Fault>,
) -> Option<Spanned<U>> {
    let span = value.span();
    let value = problems.check(span.clone(), rule(value.into_inner()))?;
    Some(Spanned::new(span, value))
}

/// Checks each value of a table. The wrong ones are reported and left out.
pub(super) fn check_each<T, U>(
    values: BTreeMap<Text, Spanned<T>>,
    problems: &mut Problems,
    rule: impl Fn(T) -> Result<U, Fault>,
) -> BTreeMap<Text, Spanned<U>> {
    let checked = values
        .into_iter()
        .filter_map(|(name, value)| check(value, problems, &rule).map(|value| (name, value)));
    checked.collect()
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for PerName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Spanned::<OneOrEach<T>>::deserialize(deserializer)?;
        let span = value.span();
        Ok(match value.into_inner() {
            OneOrEach::One(value) => Self::One(Spanned::new(span, value)),
            OneOrEach::Each(values) => Self::Each(values),
        })
    }
}

/// [`PerName`] before the place of a single value is known.
enum OneOrEach<T> {
    One(T),
    Each(BTreeMap<Text, Spanned<T>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrEach<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrEachVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrEachVisitor<T> {
            type Value = OneOrEach<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value, or a table of values by name")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                T::deserialize(value.into_deserializer()).map(OneOrEach::One)
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
                T::deserialize(value.into_deserializer()).map(OneOrEach::One)
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(OneOrEach::Each)
            }
        }

        deserializer.deserialize_any(OneOrEachVisitor(PhantomData))
    }
}
