//! Who was called, from spans. In: spans in any order that a bounded number of them can mend. Out: calls of services in the
//! order of time. A span within the service of its parent is that service's own affair, and no call; one whose parent is
//! not known (it came too long ago, or is not in the table) is a call from outside.

use std::cmp::Reverse;
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::{Call, Span};

/// Spans remembered as possible parents, in each of two generations.
const PARENTS_MAX: usize = 1 << 20;
/// What Kubernetes appends to the name of a deployment: a hash of its template, and five letters of the pod.
const TEMPLATE_LEN: std::ops::RangeInclusive<usize> = 6..=10;
const POD_LEN: usize = 5;

/// A span without its texts. Of those that begin at once the longer comes first: it may be the other's parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hop {
    pub(super) at_us: u64,
    longest: Reverse<u64>,
    id: u64,
    parent: Option<u64>,
    service: u32,
}

impl Hop {
    pub(super) fn new(span: &Span, service: u32) -> Self {
        let place = |span_id: &str| {
            let mut hasher = FxHasher::default();
            (span.trace.as_str(), span_id).hash(&mut hasher);
            hasher.finish()
        };
        Self {
            at_us: span.at_us,
            longest: Reverse(span.duration_us),
            id: place(&span.span),
            parent: span.parent.as_deref().map(place),
            service,
        }
    }
}

/// Services by span.
#[derive(Debug, Default)]
pub(super) struct Services {
    young: FxHashMap<u64, u32>,
    old: FxHashMap<u64, u32>,
}

impl Services {
    /// The call that a span is, if it is one. Spans come in the order of time.
    pub(super) fn call(&mut self, hop: Hop) -> Option<Call> {
        if self.young.len() >= PARENTS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hop.id, hop.service);
        let of = |parent: u64| self.young.get(&parent).or_else(|| self.old.get(&parent)).copied();
        let inside = hop.parent.and_then(of) == Some(hop.service);
        let Reverse(duration_us) = hop.longest;
        (!inside).then_some(Call { at_us: hop.at_us, app: hop.service, duration_us })
    }
}

/// The service of a pod: its name without what Kubernetes appends, as far as that is there.
pub(super) fn of_pod(pod: &str) -> &str {
    let mut parts = pod.rsplitn(3, '-');
    let (end, template, name) = (parts.next(), parts.next(), parts.next());
    let fits = |text: Option<&str>, len: &dyn Fn(usize) -> bool| {
        text.is_some_and(|text| len(text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    match name {
        Some(name)
            if fits(end, &|len| len == POD_LEN) && fits(template, &|len| TEMPLATE_LEN.contains(&len)) =>
        {
            name
        }
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_its_deployments_and_other_names_stay() {
        assert_eq!(of_pod("ts-gateway-service-6f6cfc45b-h5m2n"), "ts-gateway-service");
        assert_eq!(of_pod("search"), "search");
        assert_eq!(of_pod("redis-master-0"), "redis-master-0");
    }

    #[test]
    fn what_a_service_does_within_itself_is_no_call_and_what_another_asks_of_it_is() {
        let span = |span: &str, parent: Option<&str>, at_us, duration_us| Span {
            at_us,
            duration_us,
            trace: "t".to_owned(),
            span: span.to_owned(),
            parent: parent.map(str::to_owned),
            service: String::new(),
            operation: String::new(),
        };
        let mut hops = [
            Hop::new(&span("inner", Some("root"), 5, 3), 0),
            Hop::new(&span("root", None, 5, 90), 0),
            Hop::new(&span("other", Some("inner"), 6, 1), 1),
            Hop::new(&span("lost", Some("nowhere"), 7, 1), 1),
        ];
        hops.sort();
        let mut services = Services::default();
        let calls: Vec<_> = hops.into_iter().filter_map(|hop| services.call(hop)).collect();
        let seen: Vec<_> = calls.iter().map(|call| (call.app, call.at_us)).collect();
        assert_eq!(seen, [(0, 5), (1, 6), (1, 7)]);
    }
}
