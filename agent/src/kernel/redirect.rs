//! The route table. In: what is dialled, by whom, and where it leads. Out: the kernel's map, written entry by entry;
//! each entry is replaced as a whole.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{HashMap, Map, MapData, MapError};
use weft_abi::{BACKENDS_MAX, Route};

use super::{KernelError, endpoint, map_error};

/// What is dialled, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteKey {
    /// Cgroup of the caller; `None` for everyone who has no route of their own.
    pub caller: Option<u64>,
    /// The dialled address.
    pub dial: SocketAddr,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PodKey(weft_abi::RouteKey);

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PodRoute(Route);

// SAFETY: integers and arrays of them, without padding (asserted in the ABI).
unsafe impl aya::Pod for PodKey {}
// SAFETY: as above.
unsafe impl aya::Pod for PodRoute {}

/// The kernel's route table.
#[derive(Clone)]
pub struct RouteTable(Arc<Mutex<HashMap<MapData, PodKey, PodRoute>>>);

impl RouteTable {
    pub(super) fn new(map: Map) -> Result<Self, KernelError> {
        Ok(Self(Arc::new(Mutex::new(HashMap::try_from(map).map_err(map_error("ROUTES"))?))))
    }

    /// Leads what is dialled to one of `backends`, of which the first 16 count; none drops the route.
    ///
    /// # Errors
    /// [`KernelError::Map`], as when the table is full.
    pub fn set(&self, key: &RouteKey, backends: &[SocketAddr]) -> Result<(), KernelError> {
        let count = backends.len().min(BACKENDS_MAX);
        if count == 0 {
            return self.remove(key);
        }
        let mut route = Route { count: count as u32, ..Route::default() };
        for (place, backend) in route.backends.iter_mut().zip(backends) {
            *place = endpoint(*backend);
        }
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(pod(key), PodRoute(route), 0).map_err(map_error("ROUTES"))
    }

    /// Lets what is dialled go the ordinary way. A route that is not there is none to remove.
    ///
    /// # Errors
    /// [`KernelError::Map`].
    pub fn remove(&self, key: &RouteKey) -> Result<(), KernelError> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.remove(&pod(key)) {
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(ENOENT) => Ok(()),
            Err(MapError::KeyNotFound) => Ok(()),
            result => result.map_err(map_error("ROUTES")),
        }
    }
}

const ENOENT: i32 = 2;

fn pod(key: &RouteKey) -> PodKey {
    PodKey(weft_abi::RouteKey { caller_cgroup: key.caller.unwrap_or(0), dial: endpoint(key.dial) })
}
