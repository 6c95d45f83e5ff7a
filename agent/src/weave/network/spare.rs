//! Networks that stand before their instances. In: how many are wanted. Out: namespaces with link, address and route, which
//! [`Network::reserve`](super::Network::reserve) hands out first: a creation then waits for none of that. Refuses to make one where
//! addresses are scarce: whoever came while its address is nobody's yet would be told that there is none left.
//!
//! A spare network is held by a descriptor of this process alone: it goes with the agent, however that ends.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Network, NetworkError, delete_link, make_namespace, veth_of};

/// Spare networks where nothing is forecast.
pub const SPARE_MIN: usize = 2;
/// And at most: each takes an address, a pair of links and about 100 KiB of the kernel's memory.
pub const SPARE_MAX: usize = 16;
/// None is made where so few addresses are free.
const FREE_MIN: usize = 2 * SPARE_MAX;
/// Pause after one could not be made.
const AGAIN: Duration = Duration::from_secs(1);

/// One that nobody has yet.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) ip: Ipv4Addr,
    pub(super) netns: OwnedFd,
}

impl Network {
    /// How many are wanted from now on; bounded by [`SPARE_MAX`].
    pub fn want_spare(&self, count: usize) {
        let count = count.min(SPARE_MAX);
        if self.wanted.swap(count, Ordering::Relaxed) != count {
            self.refill.notify_one();
        }
    }

    /// The addresses of those that nobody has.
    pub fn spare(&self) -> Vec<Ipv4Addr> {
        self.leases().spare.iter().map(|spare| spare.ip).collect()
    }

    /// Makes spare networks whenever there are fewer than wanted, until it is dropped. Only to be called once those from before
    /// are adopted, and from one task.
    pub async fn keep_spare(&self) {
        let mut told = false;
        loop {
            let Some(ip) = self.address_for_spare() else {
                self.refill.notified().await;
                continue;
            };
            match self.make_spare(ip).await {
                Ok(()) => told = false,
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "no network can be made ahead; creations make their own");
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// An address, if one more is wanted and to be had.
    fn address_for_spare(&self) -> Option<Ipv4Addr> {
        let range = self.config.instance_addresses();
        let mut leases = self.leases();
        let wanted = self.wanted.load(Ordering::Relaxed);
        let free = range.len().saturating_sub(leases.taken.len());
        if leases.spare.len() >= wanted || free < FREE_MIN {
            return None;
        }
        let ip = leases.next_address(range)?;
        leases.making = Some(ip);
        Some(ip)
    }

    async fn make_spare(&self, ip: Ipv4Addr) -> Result<(), NetworkError> {
        let made = self.furnished(ip).await;
        if made.is_err() {
            // What was begun goes with the namespace; a link that is left would be in the way of the address's next holder,
            // who removes it.
            let _ = delete_link(&self.handle, &veth_of(ip)).await;
        }
        let mut leases = self.leases();
        leases.making = None;
        match made {
            Ok(netns) => leases.spare.push_back(Spare { ip, netns }),
            Err(error) => {
                leases.taken.remove(&ip.to_bits());
                return Err(error);
            }
        }
        Ok(())
    }

    async fn furnished(&self, ip: Ipv4Addr) -> Result<OwnedFd, NetworkError> {
        let (inside, netns) = make_namespace(&veth_of(ip)).await?;
        self.join_bridge(&inside, &netns, ip).await?;
        Ok(netns)
    }

    /// Takes away what nobody has.
    pub(super) async fn drop_spare(&self) -> Result<(), NetworkError> {
        let left: Vec<Ipv4Addr> = {
            let mut leases = self.leases();
            let making = leases.making.take();
            leases.spare.drain(..).map(|spare| spare.ip).chain(making).collect()
        };
        for ip in left {
            delete_link(&self.handle, &veth_of(ip)).await?;
            self.leases().taken.remove(&ip.to_bits());
        }
        Ok(())
    }
}
