//! VMs ahead of demand. In: what instances of a segment are made from. Out: a VM of that kind, its program listening,
//! stopped between two instructions, until an instance comes that it fits. Refuses more than [`HELD_MAX`].
//!
//! It has run for a moment, first under no address and then under one that leads nowhere: what a guest does first after a
//! restore, and as somebody, it has done then, and not when a request waits.
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use super::bring_up::{become_who, identity, rehearse};
use super::{Came, Inner, InstanceId, InstanceSpec, Key, Plan, Qemu, Recipe, RuntimeError, Vm, VmError};

/// Paused VMs of one node.
pub const HELD_MAX: usize = 64;
/// What a VM that is nobody's takes for its name.
const HOSTNAME: &str = "weft";

impl Qemu {
    /// Makes one VM of a segment and holds it paused; the next instance of this kind takes it. What it costs is the caller's
    /// to count: its memory stays with it.
    ///
    /// # Errors
    /// [`RuntimeError`] as for an instance; more than [`HELD_MAX`] are refused.
    pub async fn hold(&self, segment: &str, recipe: &Recipe) -> Result<(), RuntimeError> {
        let operation = "hold a VM of";
        let refused =
            |message: String| RuntimeError::Refused { operation, subject: segment.to_owned(), message };
        if self.0.books().held.values().map(Vec::len).sum::<usize>() >= HELD_MAX {
            return Err(refused(format!("{HELD_MAX} are held already")));
        }
        let spec = InstanceSpec {
            id: InstanceId::new("held").map_err(|error| refused(error.to_string()))?,
            graph: None,
            segment: segment.to_owned(),
            recipe: recipe.clone(),
            netns: PathBuf::new(),
            ip: Ipv4Addr::UNSPECIFIED,
            hostname: HOSTNAME.to_owned(),
        };
        let plan = self.0.plan(&spec).await?;
        let vm = self.0.make_held(&plan).await.map_err(Self::failed(operation, segment))?;
        self.0.books().held.entry(plan.key).or_default().push(Arc::new(vm));
        Ok(())
    }

    /// How many VMs are held.
    pub fn held(&self) -> usize {
        self.0.books().held.values().map(Vec::len).sum()
    }
}

impl Inner {
    async fn make_held(&self, plan: &Plan) -> Result<Vm, VmError> {
        let (vm, came) = match self.restore(plan).await {
            Some(vm) => (vm, Came::Restored),
            None => (self.launch(plan, super::arguments::Origin::Boot, None).await?, Came::Boot),
        };
        match self.settle(plan, &vm, came).await {
            Ok(()) => Ok(vm),
            Err(error) => {
                vm.destroy(&self.host).await?;
                Err(error)
            }
        }
    }

    async fn settle(&self, plan: &Plan, vm: &Vm, came: Came) -> Result<(), VmError> {
        vm.qmp.resume().await?;
        let nobody = identity(None, HOSTNAME);
        match came {
            Came::Boot => self.boot(plan, vm, nobody).await?,
            Came::Restored => become_who(vm, nobody).await?,
        }
        rehearse(vm).await?;
        vm.qmp.pause().await
    }

    /// One that is held and lives.
    pub(super) fn take_held(&self, key: &Key) -> Option<Arc<Vm>> {
        let mut books = self.books();
        let held = books.held.get_mut(key)?;
        let found = std::iter::from_fn(|| held.pop()).find(|vm| !*vm.ended().borrow());
        if held.is_empty() {
            books.held.remove(key);
        }
        found
    }
}
