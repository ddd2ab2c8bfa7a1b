//! The command as a process, on pipes and on a pseudo-terminal.

mod configure;
mod deploy;
mod deploy_events;
mod deploy_files;
mod deploy_target;
mod dev;
mod dev_environment;
mod dev_interruptions;
mod dev_websocket;
mod doctor;
mod hostile_output;
mod init;
mod interruptions;
mod invoke;
mod list;
mod local;
mod logs;
mod mistakes;
mod output;
mod protocols;
mod runs;
mod sessions;
mod support;
mod uploads;
mod vendor_keys;
mod walk;
