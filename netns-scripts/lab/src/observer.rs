//! All standing instruments of one lab: capture, address watch and responders.

use std::sync::Arc;

use crate::address_watch::AddressWatch;
use crate::capture::Capture;
use crate::{Family, Lab, LabError, Responder, Timeline};

/// Watches the first virtual router of one family in a lab, and answers probes of both families,
/// until it is dropped.
#[derive(Debug)]
pub struct Observer {
    timeline: Arc<Timeline>,
    _capture: Capture,
    _addresses: AddressWatch,
    _responders: Vec<Responder>,
}

impl Observer {
    /// Starts all instruments, for IPv4.
    ///
    /// # Errors
    /// If one is refused what it needs.
    pub fn start(lab: &Lab) -> Result<Self, LabError> {
        Self::start_for(lab, Family::Ipv4)
    }

    /// Starts all instruments.
    ///
    /// # Errors
    /// If one is refused what it needs.
    pub fn start_for(lab: &Lab, family: Family) -> Result<Self, LabError> {
        let responders = lab
            .nodes()
            .iter()
            .map(|&node| Responder::start(lab, node))
            .collect::<Result<_, _>>()?;
        Ok(Self { _responders: responders, ..Self::without_responders(lab, family)? })
    }

    /// Only watches: a second family, say.
    ///
    /// # Errors
    /// If an instrument is refused what it needs.
    pub fn without_responders(lab: &Lab, family: Family) -> Result<Self, LabError> {
        let timeline = Arc::new(Timeline::new(family));
        Ok(Self {
            _capture: Capture::start(lab, Arc::clone(&timeline))?,
            _addresses: AddressWatch::start(lab, Arc::clone(&timeline))?,
            _responders: Vec::new(),
            timeline,
        })
    }

    /// What they see.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}
