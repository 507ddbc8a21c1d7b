//! How many ICE connections there may be over TCP, of all peers and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::listener::household;

/// Connections from one address: a classroom behind it, whose browsers try a few of the server's addresses each.
const MAX_OF_ADDRESS: usize = 256;

/// The places for connections.
#[derive(Debug)]
pub(super) struct TcpSlots {
    capacity: usize,
    all: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place, held for as long as the connection lives.
#[derive(Debug)]
pub(super) struct TcpSlot {
    slots: Arc<TcpSlots>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl TcpSlots {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, all: Arc::new(Semaphore::new(capacity)), by_address: Mutex::default() })
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from this address, if there is one.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<TcpSlot> {
        let address = household(address);
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut by_address = self.by_address();
        let taken = by_address.entry(address).or_default();
        if *taken >= MAX_OF_ADDRESS {
            return None;
        }
        *taken += 1;
        Some(TcpSlot { slots: Arc::clone(self), address, _permit: permit })
    }

    /// Waits until the last connection is gone.
    pub(super) async fn gone(&self) {
        // A closed semaphore would mean the same.
        let _ = self.all.acquire_many(self.capacity as u32).await;
    }
}

impl Drop for TcpSlot {
    fn drop(&mut self) {
        let mut by_address = self.slots.by_address();
        if let Some(taken) = by_address.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let slots = TcpSlots::new(MAX_OF_ADDRESS + 1);
        let mut taken: Vec<_> = (0..MAX_OF_ADDRESS as u128)
            .map(|host| slots.take(Ipv6Addr::from_bits((0x2001 << 112) | host).into()).unwrap())
            .collect();
        assert!(slots.take(address("2001::ffff")).is_none(), "one household");
        let other = slots.take(address("10.0.0.1")).unwrap();
        assert!(slots.take(address("10.0.0.2")).is_none(), "there are as many as may be");
        taken.pop();
        assert!(slots.take(address("2001::ffff")).is_some());
        drop((taken, other));
        assert!(slots.by_address().is_empty());
        assert_eq!(slots.all.available_permits(), MAX_OF_ADDRESS + 1);
    }
}
