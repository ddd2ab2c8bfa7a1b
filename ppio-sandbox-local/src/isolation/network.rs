//! The network of a sandbox.

/// The network of a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SandboxNetwork {
    /// The network of this machine, with its ports and its loopback addresses.
    #[default]
    Machine,
    /// A namespace of its own, which `pasta` connects to other machines.
    Pasta,
    /// A namespace of its own, in which there is only a loopback interface.
    Loopback,
}

impl SandboxNetwork {
    /// Whether the network is a namespace of its own.
    pub(crate) fn is_own(self) -> bool {
        self != Self::Machine
    }

    /// Whether programs in the network reach other machines.
    pub(crate) fn has_internet(self) -> bool {
        self != Self::Loopback
    }
}

/// The networks that sandboxes can have on this machine.
#[derive(Debug)]
pub(crate) struct Networks {
    /// The network of sandboxes that may reach other machines.
    with_internet: SandboxNetwork,
    /// `Err` with the reason if sandboxes cannot have a network of their own.
    own: Result<(), String>,
}

impl Networks {
    pub(super) fn new(with_internet: SandboxNetwork, own: Result<(), String>) -> Self {
        Self { with_internet, own }
    }

    /// Returns the reason why sandboxes cannot have a network of their own, if they cannot.
    pub(crate) fn own_unavailable(&self) -> Option<&str> {
        self.own.as_ref().err().map(String::as_str)
    }

    /// Returns the network of sandboxes that may reach other machines.
    pub(crate) fn with_internet(&self) -> SandboxNetwork {
        self.with_internet
    }

    /// Returns the network for a sandbox; `has_internet` is whether it may reach other machines.
    ///
    /// # Errors
    ///
    /// The reason why this machine has no such network.
    pub(crate) fn choose(&self, has_internet: bool) -> Result<SandboxNetwork, &str> {
        if has_internet {
            return Ok(self.with_internet);
        }
        match &self.own {
            Ok(()) => Ok(SandboxNetwork::Loopback),
            Err(reason) => Err(reason),
        }
    }
}
