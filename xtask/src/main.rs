//! Checks of the repository that no compiler makes: `cargo xtask arrows|pure|sizes|links|licences|ldd BINARY|all`; and all tests in two lanes: `cargo xtask tests`.

mod checks;
mod tests;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_else(|| "all".to_owned());
    let outcome = match task.as_str() {
        "arrows" => checks::arrows(),
        "pure" => checks::pure(),
        "sizes" => checks::sizes(),
        "links" => checks::links(),
        "licences" => checks::licences(),
        "ldd" => {
            args.next().ok_or_else(|| anyhow::anyhow!("`xtask ldd` needs the path of a program")).and_then(checks::ldd)
        }
        "all" => all(),
        "tests" => tests::run(),
        other => Err(anyhow::anyhow!(
            "unknown task `{other}`; there are: arrows, pure, sizes, links, licences, ldd, all, tests"
        )),
    };
    match outcome {
        Ok(()) => {
            say(&format!("xtask {task}: ok"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("xtask {task}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn all() -> anyhow::Result<()> {
    checks::arrows()?;
    checks::pure()?;
    checks::sizes()?;
    checks::links()?;
    checks::licences()
}

#[expect(clippy::print_stderr, reason = "a command-line tool talks on stderr")]
fn say(text: &str) {
    eprintln!("{text}");
}
