//! Which unit waits for which: checked once, then a table.

use std::collections::{BTreeMap, BTreeSet};

use crate::unit::{Name, Spec};

/// Units in an order in which they may start, with what each requires. Without cycles and unknown names.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    specs: Vec<Spec>,
    /// What each one requires, by index.
    requires: Vec<Vec<usize>>,
    /// What requires each one, through others too, by index.
    dependants: Vec<Vec<usize>>,
}

/// Why units are no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two units have one name.
    #[error("there are two units named {0}: rename one")]
    Twice(Name),
    /// A unit requires one that is not there.
    #[error(
        "unit {unit} requires {missing}, which is no unit of this node: remove it there, or add that unit"
    )]
    Unknown {
        /// The unit.
        unit: Name,
        /// What it requires.
        missing: Name,
    },
    /// Units that require each other.
    #[error("units wait for each other: {}; remove one of these requirements", shown(.0))]
    Cycle(Vec<Name>),
}

impl Graph {
    /// Puts units in order: after what they require, otherwise as they were given.
    ///
    /// # Errors
    /// If two have one name, one requires what is not there, or they wait for each other.
    pub fn new(specs: Vec<Spec>) -> Result<Self, GraphError> {
        let mut given = BTreeMap::new();
        for (index, spec) in specs.iter().enumerate() {
            if given.insert(spec.name.clone(), index).is_some() {
                return Err(GraphError::Twice(spec.name.clone()));
            }
        }
        for spec in &specs {
            if let Some(missing) = spec.requires.iter().find(|it| !given.contains_key(*it)) {
                let (unit, missing) = (spec.name.clone(), missing.clone());
                return Err(GraphError::Unknown { unit, missing });
            }
        }
        Self::ordered(specs)
    }

    fn ordered(mut rest: Vec<Spec>) -> Result<Self, GraphError> {
        let mut graph = Self::default();
        let mut placed = BTreeMap::new();
        while !rest.is_empty() {
            let free = |spec: &Spec| spec.requires.iter().all(|it| placed.contains_key(it));
            let Some(next) = rest.iter().position(free) else {
                return Err(GraphError::Cycle(cycle(&rest)));
            };
            let spec = rest.remove(next);
            let requires: BTreeSet<usize> = spec.requires.iter().map(|it| placed[it]).collect();
            placed.insert(spec.name.clone(), graph.specs.len());
            graph.requires.push(requires.into_iter().collect());
            graph.specs.push(spec);
        }
        graph.dependants = dependants(&graph.requires);
        Ok(graph)
    }

    /// The units, each after what it requires. To stop them, go backwards.
    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    /// Where a unit is in this order.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.specs.iter().position(|it| it.name.as_str() == name)
    }

    /// What the unit at `index` requires itself.
    pub(crate) fn requires(&self, index: usize) -> &[usize] {
        self.requires.get(index).map_or(&[], Vec::as_slice)
    }

    /// What requires the unit at `index`, through others too.
    pub(crate) fn dependants(&self, index: usize) -> &[usize] {
        self.dependants.get(index).map_or(&[], Vec::as_slice)
    }
}

/// In `requires` every index is smaller than its own place.
fn dependants(requires: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut sets: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); requires.len()];
    for index in (0..requires.len()).rev() {
        for &required in &requires[index] {
            let above = sets[index].clone();
            sets[required].insert(index);
            sets[required].extend(above);
        }
    }
    sets.into_iter().map(|it| it.into_iter().collect()).collect()
}

/// One cycle among units of which none can be placed: each waits for another one of them.
fn cycle(rest: &[Spec]) -> Vec<Name> {
    let mut path: Vec<&Spec> = rest.first().into_iter().collect();
    while let Some(last) = path.last() {
        let Some(next) = rest.iter().find(|it| last.requires.contains(&it.name)) else { break };
        let start = path.iter().position(|it| it.name == next.name);
        path.push(next);
        if let Some(start) = start {
            path.drain(..start);
            break;
        }
    }
    path.into_iter().map(|it| it.name.clone()).collect()
}

fn shown(names: &[Name]) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    names.join(" requires ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::unit::Kind;

    fn graph(units: &[(&str, &[&str])]) -> Result<Graph, GraphError> {
        let name = |text: &&str| Name::new(text).unwrap();
        let spec = |(unit, requires): &(&str, &[&str])| {
            Spec::new(name(unit), Kind::Exec).requires(requires.iter().map(name))
        };
        Graph::new(units.iter().map(spec).collect())
    }

    #[test]
    fn units_start_after_what_they_require_and_otherwise_as_given() {
        let graph =
            graph(&[("kubelet", &["etcd", "dockerd"]), ("etcd", &["dockerd"]), ("dockerd", &[])])
                .unwrap();
        let order: Vec<&str> = graph.specs().iter().map(|it| it.name.as_str()).collect();
        assert_eq!(order, ["dockerd", "etcd", "kubelet"]);
        assert_eq!(graph.requires(2), [0, 1]);
        assert_eq!(graph.dependants(0), [1, 2]);
        assert!(graph.dependants(2).is_empty());
    }

    #[test]
    fn dependants_are_found_through_others() {
        let graph = graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]).unwrap();
        assert_eq!(graph.dependants(0), [1, 2]);
    }

    #[test]
    fn cycles_unknown_names_and_doubles_are_refused_with_what_to_do() {
        let text = |units| graph(units).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            text(&[("x", &["a"]), ("a", &["b"]), ("b", &["a"])]),
            "units wait for each other: a requires b requires a; remove one of these requirements"
        );
        assert_eq!(
            text(&[("a", &["a"])]),
            "units wait for each other: a requires a; remove one of these requirements"
        );
        assert!(text(&[("a", &["b"])]).starts_with("unit a requires b, which is no unit"));
        assert_eq!(text(&[("a", &[]), ("a", &[])]), "there are two units named a: rename one");
    }
}
