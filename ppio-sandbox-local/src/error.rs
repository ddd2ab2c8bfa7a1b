//! Errors of starting and running a platform and of building its templates.

use std::io;
use std::path::PathBuf;

use crate::isolation::IsolationKind;

/// An error of the local platform itself, as seen by the program that embeds it.
///
/// Errors of single requests never appear here; callers of the platform's HTTP interface get them
/// as `{"code","message"}` bodies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No home was given, and the environment has neither `PPIO_LOCAL_HOME` nor `HOME`.
    #[error("no home directory: set PPIO_LOCAL_HOME or call LocalPlatformBuilder::home")]
    NoHome,
    /// A directory or file of the platform could not be used.
    #[error("failed to use {path}")]
    Home {
        /// The directory or file.
        path: PathBuf,
        /// The reason why it could not be used.
        source: io::Error,
    },
    /// Another platform runs with the same home.
    #[error("another local platform already uses {path}: stop it, or choose another home")]
    HomeInUse {
        /// The home.
        path: PathBuf,
    },
    /// The loopback port could not be bound.
    #[error("failed to listen on 127.0.0.1:{port}")]
    Listen {
        /// The requested port; 0 for any.
        port: u16,
        /// The reason why the port could not be bound.
        source: io::Error,
    },
    /// The isolation does not work on this machine: the requested one, or process groups if none is
    /// requested.
    #[error("{kind} isolation does not work here: {reason}")]
    Isolation {
        /// The isolation that was tried.
        kind: IsolationKind,
        /// The reason: what is missing, or how the sandbox that is started as a trial failed.
        reason: String,
    },
    /// Sandboxes with internet access cannot have a network of their own
    /// ([`isolate_network`](crate::LocalPlatformBuilder::isolate_network)) on this machine.
    #[error("sandboxes with internet access cannot have a network of their own here: {reason}")]
    Network {
        /// The reason: what is missing, or how the sandbox that is started as a trial failed.
        reason: String,
    },
    /// The value of an environment variable is neither true nor false.
    #[error("{name}={value:?} is not true or false")]
    Variable {
        /// The variable.
        name: &'static str,
        /// The value of the variable.
        value: String,
    },
    /// The watchdog, which ends the sandboxes when the platform has ended, could not be started.
    #[error("failed to start the watchdog that ends the sandboxes when the platform ends")]
    Watchdog(#[source] io::Error),
    /// The local certificate authority or a certificate could not be created.
    #[error("failed to prepare the local certificate authority: {0}")]
    Certificate(String),
    /// A template could not be built.
    #[error("failed to build template {name}: {reason}")]
    Build {
        /// The template's name.
        name: String,
        /// The reason, after the step that failed if one did.
        reason: String,
    },
}

/// Returns the text of an error and of all its sources.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl Error {
    pub(crate) fn home(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Home { path, source }
    }
}
