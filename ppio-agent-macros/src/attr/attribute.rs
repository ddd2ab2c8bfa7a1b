//! The differences between the attributes: names, arguments, and texts for messages.

/// One of the attributes of this crate.
#[derive(Clone, Copy)]
pub(crate) enum Attribute {
    Entrypoint,
    WebSocket,
    Ping,
    Middleware,
    Startup,
    Shutdown,
    Routes,
}

/// An argument that an attribute accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Config,
    OnDisconnect,
    SessionConcurrency,
    Order,
    All,
    Crate,
}

impl Attribute {
    /// Returns the path under which users write the attribute.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Entrypoint => "ppio::entrypoint",
            Self::WebSocket => "ppio::websocket",
            Self::Ping => "ppio::ping",
            Self::Middleware => "ppio::middleware",
            Self::Startup => "ppio::startup",
            Self::Shutdown => "ppio::shutdown",
            Self::Routes => "ppio::routes",
        }
    }

    /// Returns the annotated function as the subject of a message, such as `an entrypoint`.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Entrypoint => "an entrypoint",
            Self::WebSocket => "a websocket function",
            Self::Ping => "a ping",
            Self::Middleware => "middleware",
            Self::Startup => "a startup function",
            Self::Shutdown => "a shutdown function",
            Self::Routes => "a routes function",
        }
    }

    /// Returns a name that a function with the attribute often has.
    pub(crate) fn example_name(self) -> &'static str {
        match self {
            Self::Entrypoint => "agent",
            Self::WebSocket => "chat",
            Self::Ping => "health",
            Self::Middleware => "log_requests",
            Self::Startup => "connect",
            Self::Shutdown => "close",
            Self::Routes => "routes",
        }
    }

    /// Returns a signature that the attribute accepts.
    pub(crate) fn example_signature(self) -> &'static str {
        match self {
            Self::Entrypoint => "async fn agent(request: ppio::Value) -> ppio::Value",
            Self::WebSocket => "async fn chat(socket: ppio::WebSocket)",
            Self::Ping => "fn health() -> ppio::PingStatus",
            Self::Middleware => {
                "async fn log_requests(request: ppio::Request, next: ppio::Next) -> ppio::Response"
            }
            Self::Startup => "async fn connect() -> Result<Database, Error>",
            Self::Shutdown => "async fn close(database: ppio::State<Database>)",
            Self::Routes => "fn routes() -> axum::Router",
        }
    }

    /// Returns the argument of this name, if the attribute accepts it.
    pub(super) fn argument(self, name: &str) -> Option<Argument> {
        let mut arguments = self.arguments().iter().copied();
        arguments.find(|argument| argument.name() == name)
    }

    /// Returns the sentence of a `help:` that lists the arguments.
    pub(super) fn arguments_help(self) -> String {
        let forms: Vec<String> = self
            .arguments()
            .iter()
            .map(|argument| format!("`{}`", argument.form()))
            .collect();
        format!("`#[{}]` accepts {}", self.path(), forms.join(", "))
    }

    fn arguments(self) -> &'static [Argument] {
        match self {
            Self::Entrypoint => &[
                Argument::Config,
                Argument::OnDisconnect,
                Argument::SessionConcurrency,
                Argument::Crate,
            ],
            Self::WebSocket | Self::Ping | Self::Startup | Self::Shutdown | Self::Routes => {
                &[Argument::Crate]
            }
            Self::Middleware => &[Argument::Order, Argument::All, Argument::Crate],
        }
    }
}

impl Argument {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::OnDisconnect => "on_disconnect",
            Self::SessionConcurrency => "session_concurrency",
            Self::Order => "order",
            Self::All => "all",
            Self::Crate => "crate",
        }
    }

    fn form(self) -> &'static str {
        match self {
            Self::Config => "config = <expression>",
            Self::OnDisconnect => "on_disconnect = <policy>",
            Self::SessionConcurrency => "session_concurrency = <policy>",
            Self::Order => "order = <integer>",
            Self::All => "all",
            Self::Crate => "crate = <path>",
        }
    }

    /// Returns the words that the argument accepts as its value, each with the name of its variant.
    pub(super) fn words(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OnDisconnect => &[("cancel", "Cancel"), ("continue", "Continue")],
            Self::SessionConcurrency => &[
                ("parallel", "Parallel"),
                ("queue", "Queue"),
                ("reject", "Reject"),
                ("interrupt", "Interrupt"),
            ],
            Self::Config | Self::Order | Self::All | Self::Crate => &[],
        }
    }

    /// Returns the argument with a value that the attribute accepts.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Config => "config = ppio::RuntimeConfig::new()",
            Self::OnDisconnect => "on_disconnect = \"continue\"",
            Self::SessionConcurrency => "session_concurrency = \"queue\"",
            Self::Order => "order = 10",
            Self::All => "all",
            Self::Crate => "crate = my_crate::ppio",
        }
    }
}
