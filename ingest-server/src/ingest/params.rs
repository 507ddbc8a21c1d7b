//! Which codec parameters hold from which unit on.

use media::params::check_parameters;
use protocol::Track;
use protocol::codec::Params;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::{MAX_PARAMS_CHANGES, MAX_UNIT_NUMBER};

/// A track's codec parameters, ascending by unit.
#[derive(Debug, Clone)]
pub(super) struct ParamsHistory {
    track: Track,
    params: Vec<Params>,
}

impl ParamsHistory {
    pub(super) const fn new(track: Track, params: Vec<Params>) -> Self {
        Self { track, params }
    }

    pub(super) fn all(&self) -> &[Params] {
        &self.params
    }

    /// The index of the parameters that decode a unit.
    pub(super) fn index_for(&self, unit: u64) -> Option<usize> {
        self.params.partition_point(|params| params.from_unit <= unit).checked_sub(1)
    }

    /// Takes in parameters; what is known already may be repeated. `highest` is the highest unit received so far:
    /// what decodes it can no longer change.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidParams`]; then nothing has changed.
    pub(super) fn extend(&mut self, more: &[Params], highest: Option<u64>) -> Result<(), ErrorBody> {
        let mut merged = self.params.clone();
        for params in more {
            match merged.binary_search_by_key(&params.from_unit, |have| have.from_unit) {
                Ok(at) if merged[at] == *params => {}
                Ok(_) => return Err(invalid("other codec parameters are known from this unit on")),
                Err(at) => {
                    self.check(params, highest)?;
                    merged.insert(at, params.clone());
                }
            }
        }
        if merged.len() > MAX_PARAMS_CHANGES {
            return Err(invalid("the codec parameters change too often"));
        }
        self.params = merged;
        Ok(())
    }

    fn check(&self, params: &Params, highest: Option<u64>) -> Result<(), ErrorBody> {
        if params.parameters.track() != self.track {
            return Err(invalid("these codec parameters belong to the other track"));
        }
        if params.from_unit >= MAX_UNIT_NUMBER {
            return Err(invalid("from_unit is out of range"));
        }
        if highest.is_some_and(|highest| params.from_unit <= highest) {
            return Err(invalid("codec parameters must come before the units that need them"));
        }
        check_parameters(&params.parameters).map_err(|error| invalid(&error.to_string()))
    }
}

fn invalid(what: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::InvalidParams, what)
}

#[cfg(test)]
mod tests {
    use protocol::codec::CodecParameters;

    use super::*;

    fn opus(from_unit: u64, channels: u8) -> Params {
        Params { from_unit, parameters: CodecParameters::Opus { channels, pre_skip_48k: 312 } }
    }

    #[test]
    fn parameters_hold_from_their_unit_until_the_next() {
        let mut history = ParamsHistory::new(Track::Audio, vec![]);
        assert_eq!(history.index_for(7), None);
        history.extend(&[opus(0, 1), opus(50, 2)], None).unwrap();
        assert_eq!(
            [0, 49, 50, 1000].map(|unit| history.index_for(unit)),
            [Some(0), Some(0), Some(1), Some(1)]
        );
    }

    #[test]
    fn a_repetition_passes_and_a_contradiction_does_not() {
        let mut history = ParamsHistory::new(Track::Audio, vec![opus(0, 1)]);
        history.extend(&[opus(0, 1)], Some(99)).unwrap();
        history.extend(&[opus(0, 1), opus(100, 2)], Some(99)).unwrap();
        let before = history.all().to_vec();
        for bad in
            [opus(0, 2), opus(99, 2), opus(101, 3), opus(1 << 40, 1), testkit::units::params(Track::Video)]
        {
            let error = history.extend(std::slice::from_ref(&bad), Some(99)).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidParams, "{bad:?}");
            assert_eq!(history.all(), before, "{bad:?}");
        }
    }
}
