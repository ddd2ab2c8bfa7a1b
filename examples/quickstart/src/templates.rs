//! Builds a template of each agent, from which its sandboxes are created.

use std::path::PathBuf;
use std::time::Instant;

use futures_util::future::try_join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ppio_sandbox_local::{BuiltTemplate, LocalPlatform, TemplateSpec};

use crate::Outcome;

/// Builds a template of each program, all concurrently, each with a progress bar.
pub(crate) async fn build(
    platform: &LocalPlatform,
    programs: &[PathBuf],
) -> Outcome<Vec<BuiltTemplate>> {
    let started = Instant::now();
    let bars = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:>10}  [{bar:20}] {msg}")?;
    let builds = programs.iter().map(|program| {
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bar = bars.add(ProgressBar::new(1));
        bar.set_style(style.clone());
        bar.set_prefix(name.clone());
        async move {
            let spec = TemplateSpec::new(name).binary(program);
            platform
                .build_template_with(spec, |line| show(&bar, line))
                .await
        }
    });
    let templates = try_join_all(builds).await?;
    bars.clear()?;
    let names: Vec<_> = templates
        .iter()
        .map(|template| format!("{} ({})", template.name, template.id))
        .collect();
    println!(
        "templates   {} built in {:.1} s",
        names.join(", "),
        started.elapsed().as_secs_f64()
    );
    Ok(templates)
}

/// Sets a bar to the step in a line of a build, such as 2 of 5 in `[2/5]`.
fn show(bar: &ProgressBar, line: &str) {
    let step = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .and_then(|(numbers, step)| Some((numbers.split_once('/')?, step)));
    match step {
        Some(((done, all), step)) => {
            bar.set_length(all.parse().unwrap_or(1));
            bar.set_position(done.parse().unwrap_or(0));
            bar.set_message(step.to_owned());
        }
        None => bar.set_message(line.to_owned()),
    }
}
