//! Two real clips as two ANPR cameras, with the real reader and the real models: reads against the truth, footage against
//! the films.
//!
//! Plate texts go into one file of the run's own folder and nowhere else: they are plates of real people.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use sim::Film;
use vms_benches::films::check;
use vms_benches::process::{signal, wall_us};
use vms_testkit::rig::{Person, Rig, RigOptions};

use crate::say;

/// `hammer films`.
#[derive(Debug, clap::Args)]
pub(crate) struct FilmsArgs {
    /// Folder with `plates-eu.mp4`, `plates-eu.tsv` and `street-paris.mp4`.
    #[arg(long, env = "BELFRY_DATA", default_value = "../shared/data")]
    data: PathBuf,
    /// Loops of the film with known plates.
    #[arg(long, default_value_t = 1)]
    loops: u32,
    /// Folder for the list of reads with their texts and for the played footage; kept. Never one inside a repository.
    #[arg(long, value_name = "DIR")]
    keep: PathBuf,
    /// Also play both cameras in Chromium (needs `npm ci` in web/).
    #[arg(long)]
    browser: bool,
}

/// The simulator with the two films; ends with the run.
struct Sim(Child);

impl Drop for Sim {
    fn drop(&mut self) {
        signal(self.0.id(), rustix::process::Signal::TERM);
        drop(self.0.wait());
    }
}

/// One passage that a film shows.
#[derive(Clone, Debug)]
struct Shown {
    from_us: i64,
    to_us: i64,
    plate: String,
}

/// One read.
#[derive(Clone, Debug)]
struct Read {
    at_us: i64,
    plate: String,
    confidence: f64,
}

pub(crate) async fn run(args: &FilmsArgs, options: RigOptions) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.keep)?;
    let clips = [args.data.join("plates-eu.mp4"), args.data.join("street-paris.mp4")];
    let films = [Film::open(&clips[0])?, Film::open(&clips[1])?];
    let programs = options.programs.clone();
    let mut rig = Rig::start(RigOptions { film: clips[0].clone(), sub: None, ..options }).await?;
    let sim = exchange_sim(&mut rig, &programs, &clips).await?;
    let operator = rig.log_in("operator").await?;
    let ready =
        async |_: &Rig| states(&operator).await.is_some_and(|all| all.len() == 2 && all.iter().all(|s| s == "live"));
    rig.until("both cameras are live", Duration::from_secs(60), ready).await?;
    // The reader subscribes within a few seconds of that.
    tokio::time::sleep(Duration::from_secs(8)).await;

    let began = wall_us();
    let window = length_us(&films[0]) * i64::from(args.loops);
    let ended = began + window;
    say(&format!("watching for {} s", window / 1_000_000));
    // A read leaves when its vehicle has gone for a moment.
    let over = Duration::from_micros(u64::try_from(ended - wall_us())?) + Duration::from_secs(6);
    tokio::time::sleep(over).await;
    let origin = footage(args, &rig, &operator, 0, &films[0], ended).await?;
    let street_origin = footage(args, &rig, &operator, 1, &films[1], ended).await?;
    let known = reads(&operator, 0, began, ended).await?;
    // From before the window: what drives by again within 20 s is one passage, so a loop of 9 s is told in its first round only.
    let street = reads(&operator, 1, began - 60_000_000, ended).await?;
    keep(args, &[("plates-eu", &known, origin), ("street-paris", &street, street_origin)])?;
    score(&known, &truth(&args.data, origin, length_us(&films[0]), began, ended)?);
    street_figures(&street, window / length_us(&films[1]));
    if args.browser {
        browser(&rig)?;
    }
    drop(sim);
    rig.stop_belfry().await
}

/// Our two films instead of the rig's one, from their beginning, before Belfry looks.
async fn exchange_sim(rig: &mut Rig, programs: &Path, clips: &[PathBuf; 2]) -> anyhow::Result<Sim> {
    rig.stop_sim()?;
    rig.stop_belfry().await?;
    let config = std::fs::read_to_string(rig.path().join("belfry.toml"))?;
    let port = config.split("allowed_ports = [[").nth(1).and_then(|rest| rest.split(',').next()).context("no port")?;
    let mut command = Command::new(programs.join("belfry-media"));
    command.args(["sim", "cameras", "--audio", "--port", port, "--user", "sim", "--password-file"]);
    command.arg(rig.path().join("sim.password")).arg("--film").arg(&clips[0]).arg("--film").arg(&clips[1]);
    let sim = Sim(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    rig.start_belfry()?;
    let answers = async |rig: &Rig| rig.get_plain("/api/v1/openapi.json").await.is_ok();
    rig.until("the console answers", Duration::from_secs(60), answers).await?;
    Ok(sim)
}

fn length_us(film: &Film) -> i64 {
    film.duration() * 100 / 9
}

async fn cameras(person: &Person) -> anyhow::Result<Vec<Value>> {
    let page = person.ask("GET", "/api/v1/cameras?limit=500", None).await?;
    let mut all = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    all.sort_by_key(|camera| text(camera, "/code"));
    Ok(all)
}

async fn states(person: &Person) -> Option<Vec<String>> {
    Some(cameras(person).await.ok()?.iter().map(|camera| text(camera, "/health/phase")).collect())
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or("").to_owned()
}

fn rfc3339(us: i64) -> anyhow::Result<String> {
    Ok(jiff::Timestamp::from_microsecond(us)?.to_string())
}

/// One whole loop of a film as it was recorded, checked; gives when the film's first picture was sent.
async fn footage(
    args: &FilmsArgs,
    rig: &Rig,
    person: &Person,
    number: usize,
    film: &Film,
    ended: i64,
) -> anyhow::Result<i64> {
    let all = cameras(person).await?;
    let stream = text(all.get(number).context("no camera")?, "/streams/0/id");
    let from = ended - length_us(film) - 1_000_000;
    let body = json!({
        "stream_id": stream, "from": rfc3339(from)?, "to": rfc3339(ended)?,
        "purpose": { "code": "INTERVENTIE", "justification": "meting van de lezer", "case_ref": null },
    });
    let ticket = person.ask("POST", "/api/v1/playback-tickets", Some(body)).await?;
    let bytes: Bytes = person.bytes(&text(&ticket, "/url"), None).await?;
    let path = args.keep.join(format!("camera-{number}.mp4"));
    std::fs::write(&path, &bytes)?;
    let found =
        check(&bytes, film).with_context(|| format!("footage of camera {number}\n{}", rig.log_tail("belfry")))?;
    for (program, words) in
        [("ffprobe", &["-v", "error", "-count_packets"][..]), ("ffmpeg", &["-v", "error", "-i"][..])]
    {
        let mut command = Command::new(program);
        command.args(words).arg(&path);
        if program == "ffmpeg" {
            command.args(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"]);
        }
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} is needed"))?;
        ensure!(output.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let whole = u64::try_from(film.units().len())?;
    ensure!(found.frames >= whole, "{} frames are less than the {whole} of a loop", found.frames);
    say(&format!(
        "camera {number}: {} frames played ({whole} in a loop), none missing, bytes and times as sent; ffprobe and ffmpeg silent",
        found.frames
    ));
    let index = usize::try_from(found.first % whole)?;
    let into = film.units().get(index).context("no such frame")?.dts * 100 / 9;
    Ok(found.sent_us.0 - into - i64::try_from(found.first / whole)? * length_us(film))
}

async fn reads(person: &Person, number: usize, from: i64, to: i64) -> anyhow::Result<Vec<Read>> {
    let all = cameras(person).await?;
    let camera = text(all.get(number).context("no camera")?, "/id");
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path =
            format!("/api/v1/reads?camera={camera}&from={}&to={}&limit=200{cursor}", rfc3339(from)?, rfc3339(to)?);
        let page = person.ask("GET", &path, None).await?;
        for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            let at: jiff::Timestamp = text(item, "/at").parse()?;
            found.push(Read {
                at_us: at.as_microsecond(),
                plate: text(item, "/plate"),
                confidence: item.get("confidence").and_then(Value::as_f64).unwrap_or(0.0),
            });
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort_by_key(|read| read.at_us);
    Ok(found)
}

/// What is shown whole inside the window, loop after loop.
fn truth(data: &Path, origin: i64, length: i64, began: i64, ended: i64) -> anyhow::Result<Vec<Shown>> {
    let file = std::fs::read_to_string(data.join("plates-eu.tsv"))?;
    let mut shown = Vec::new();
    for line in file.lines().skip(1) {
        let mut cells = line.split('\t');
        let mut second = || -> anyhow::Result<i64> {
            let seconds: Duration = Duration::try_from_secs_f64(cells.next().context("a short line")?.parse()?)?;
            Ok(i64::try_from(seconds.as_micros())?)
        };
        let (from, to) = (second()?, second()?);
        let plate = cells.next().context("a short line")?.trim().to_owned();
        let mut start = origin + (began - origin).div_euclid(length) * length;
        while start < ended {
            if start + from >= began && start + to <= ended {
                shown.push(Shown { from_us: start + from, to_us: start + to, plate: plate.clone() });
            }
            start += length;
        }
    }
    shown.sort_by_key(|one| one.from_us);
    Ok(shown)
}

fn keep(args: &FilmsArgs, lists: &[(&str, &Vec<Read>, i64)]) -> anyhow::Result<()> {
    let mut out = String::new();
    for (name, reads, origin) in lists {
        for read in *reads {
            let at = Duration::from_micros(u64::try_from(read.at_us - origin).unwrap_or(0)).as_secs_f64();
            out.push_str(&format!("{name}\t{at:.2}\t{}\t{:.3}\n", read.plate, read.confidence));
        }
    }
    Ok(std::fs::write(args.keep.join("reads.tsv"), out)?)
}

/// Reads are stamped with their best look: it lies inside the time that the plate was shown, give or take a frame on the way.
fn belongs(read: &Read, shown: &Shown) -> bool {
    read.at_us >= shown.from_us - 100_000 && read.at_us <= shown.to_us + 300_000
}

fn score(reads: &[Read], truth: &[Shown]) {
    let (mut seen, mut exact) = (0_u32, 0_u32);
    for shown in truth {
        let mut own = reads.iter().filter(|read| belongs(read, shown)).peekable();
        seen += u32::from(own.peek().is_some());
        exact += u32::from(own.any(|read| read.plate == shown.plate));
    }
    let is_right = |read: &Read| truth.iter().any(|shown| belongs(read, shown) && read.plate == shown.plate);
    // Half a plate at either end of the window is nobody's fault.
    let first = truth.first().map_or(i64::MAX, |shown| shown.from_us - 100_000);
    let last = truth.last().map_or(i64::MIN, |shown| shown.to_us + 300_000);
    let inside: Vec<&Read> = reads.iter().filter(|read| (first..=last).contains(&read.at_us)).collect();
    let (right, wrong): (Vec<&Read>, Vec<&Read>) = inside.iter().copied().partition(|read| is_right(read));
    say(&format!(
        "plates-eu: {} plates shown, {seen} read at all, {exact} exactly; {} reads, {} right, {} wrong",
        truth.len(),
        inside.len(),
        right.len(),
        wrong.len()
    ));
    for (name, list) in [("right", right), ("wrong", wrong)] {
        let confidences: Vec<f64> = list.iter().map(|read| read.confidence).collect();
        let at = |share| crate::quantile(&confidences, share);
        say(&format!("  confidence of the {name}: min {:.3}, median {:.3}, max {:.3}", at(0.0), at(0.5), at(1.0)));
    }
}

fn street_figures(reads: &[Read], loops: i64) {
    let mut texts: Vec<&str> = reads.iter().map(|read| read.plate.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    let confidences: Vec<f64> = reads.iter().map(|read| read.confidence).collect();
    say(&format!(
        "street-paris: {} reads in {loops} loops, {} different texts; confidence min {:.3}, median {:.3}, max {:.3}",
        reads.len(),
        texts.len(),
        crate::quantile(&confidences, 0.0),
        crate::median(&confidences),
        crate::quantile(&confidences, 1.0)
    ));
}

fn browser(rig: &Rig) -> anyhow::Result<()> {
    let mut node = Command::new("node");
    node.arg("e2e/films.mjs").current_dir("web").env("BELFRY_URL", rig.url(""));
    node.env("BELFRY_USER", "operator").env("BELFRY_PASSWORD", rig.password()).stdin(Stdio::null());
    ensure!(node.status().context("node is needed")?.success(), "the browser does not play the footage");
    Ok(())
}
