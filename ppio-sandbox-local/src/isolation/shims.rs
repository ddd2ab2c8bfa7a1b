//! Shims: scripts in place of programs that clients expect in a sandbox and this machine may lack.

/// `sudo`: clients start agents with `cd /app && sudo -E python agent.py`. A sandbox gains no
/// privileges, so the command is run unchanged, without the options of `sudo`.
const SUDO: &str = r#"#!/bin/sh
while [ "$#" -gt 0 ]; do
  case "$1" in
    -u|-g|-C|-h|-p|-r|-t|-U|-D) shift; [ "$#" -gt 0 ] && shift ;;
    --) shift; break ;;
    -*) shift ;;
    *=*) export "${1?}"; shift ;;
    *) break ;;
  esac
done
[ "$#" -gt 0 ] || exit 0
exec "$@"
"#;

/// `python`: some systems have only `python3`. A real `python` takes precedence.
const PYTHON: &str = r#"#!/bin/sh
own=$(dirname "$0")
rest=
IFS=:
for directory in $PATH; do
  [ "$directory" = "$own" ] && continue
  [ -x "$directory/python" ] && exec "$directory/python" "$@"
done
exec python3 "$@"
"#;

/// `/etc/profile`, which keeps the PATH of the template in login shells.
pub(super) const PROFILE: &str = r#"# Keeps PATH as the platform set it.
for script in /etc/profile.d/*.sh; do
  [ -r "$script" ] && . "$script"
done
unset script
if [ -n "${BASH_VERSION-}" ] && [ -n "${PS1-}" ]; then PS1='\u@sandbox:\w\$ '; fi
"#;

/// The script that a `bash` without a prompt reads in a sandbox that is a process group, unless the
/// template or the caller sets `BASH_ENV`. Clients start agents with `cd /app`, but the sandbox's
/// `/app` lies below the sandbox's directory. Before this script, login shells read this machine's
/// `/etc/profile`, which resets the `PATH`.
const BASH_ENV: &str = r#"shopt -q login_shell && PATH=$PPIO_LOCAL_PATH
cd() {
  case "${1-}" in
    /*) [ -d "$PPIO_LOCAL_SANDBOX/root$1" ] && set -- "$PPIO_LOCAL_SANDBOX/root$1" ;;
  esac
  builtin cd "$@"
}
"#;

/// The directory of the shims in a sandbox.
pub(crate) const SHIMS_DIRECTORY: &str = "/.ppio/bin";
/// The file of [`SHIMS_DIRECTORY`] that `bash` reads.
pub(crate) const BASH_ENV_FILE: &str = "bash-env";
/// The names and texts of the shims.
pub(crate) const SHIM_FILES: &[(&str, &str)] = &[
    ("sudo", SUDO),
    ("python", PYTHON),
    (BASH_ENV_FILE, BASH_ENV),
];
