//! A2: every route × profile × standing × hold state × time window, generated from the router's table, against the matrix. A cell is
//! one request that is really sent: what the matrix denies must be refused by the route, whatever the route does; what it allows must
//! be answered. What would change the town is sent last, and must at least be no stranger's answer and no fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{Method, StatusCode};
use policy::{Decision, Matrix, Request};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vms_api::table::{Access, Line, ROUTES};
use vms_core::{Profile, Purpose, Relation, Right};

use crate::town::{Person, Town, answer, instant};
use crate::walk::{Things, concrete, stage};

/// How somebody's organisation stands to the cameras of the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Own,
    /// Another zone, by a grant in force.
    Shared,
    /// An organisation that is no police, by a grant in force.
    Partner,
    /// By a grant in force whose flow the commission suspended.
    Suspended,
    /// The grant ran out.
    RunOut,
    /// Never any grant.
    Other,
}

const STANDINGS: [(Standing, &str); 6] = [
    (Standing::Own, "5340"),
    (Standing::Shared, "5339"),
    (Standing::Partner, "MIVB"),
    (Standing::Suspended, "5342"),
    (Standing::RunOut, "5343"),
    (Standing::Other, "5341"),
];

impl Standing {
    const fn relation(self) -> Relation {
        match self {
            Self::Own => Relation::Own,
            Self::Shared | Self::Partner | Self::Suspended => Relation::Shared,
            Self::RunOut | Self::Other => Relation::Other,
        }
    }
}

/// What the grants of [`world`] give; for anything else whoever they share with is a stranger.
const GIVEN: [Right; 3] = [Right::CameraList, Right::Live, Right::Playback];

/// Spans that are asked for: an hour, three days, 33 days and 13 months old; the first is that of [`concrete`].
const WINDOWS: [(&str, &str); 4] = [
    ("2026-11-22T11:00:00Z", "2026-11-22T11:05:00Z"),
    ("2026-11-19T11:00:00Z", "2026-11-19T11:05:00Z"),
    ("2026-10-20T11:00:00Z", "2026-10-20T11:05:00Z"),
    ("2025-10-20T11:00:00Z", "2025-10-20T11:05:00Z"),
];

/// Routes that ask for a span of the past.
const SPANS: &[&str] = &[
    "GET /api/v1/cameras/{id}/timeline",
    "POST /api/v1/playback-tickets",
    "POST /api/v1/exports",
    "POST /api/v1/holds",
    "POST /api/v1/gated",
    "POST /api/v1/reads/search",
    "POST /api/v1/reads/gated-searches",
    "GET /api/v1/reads",
    "GET /api/v1/audit",
    "POST /api/v1/audit/plate-searches",
    "POST /api/v1/subject-requests",
];

/// Routes that a session may ask for whatever its profile: each looks after itself, and its reason stands beside it. A new route with
/// `Access::Session` fails the test until it stands here.
const SESSION_ONLY: &[(&str, &str)] = &[
    ("/api/v1/logout", "one's own session"),
    ("/api/v1/session", "one's own session; its factors, profile and station"),
    ("/api/v1/orgs", "names of organisations are public"),
    ("/api/v1/legal-changes/{id}/withdraw", "one's own proposal"),
    ("/api/v1/second-wishes/{id}/withdraw", "one's own wish"),
    ("/api/v1/holds/{id}/keep-on", "whoever asked, or may release"),
    ("/api/v1/exports/{id}", "whoever ordered, or may approve"),
    ("/api/v1/live", "a one-use ticket of this session"),
    ("/api/v1/playback/{file}", "an open playback of this session"),
    ("/api/v1/reads/{id}", "a decision of this session"),
    ("/api/v1/break-glass/{id}/end", "whoever opened it, or may review it"),
    ("/api/v1/events", "each event is filtered"),
];

fn name(line: &Line) -> String {
    format!("{} {}", line.method, line.path)
}

/// Rights that open a route; those besides the one in its line are written at the route's own description.
fn rights_of(line: &Line) -> Vec<Right> {
    let first = match line.access {
        Access::Right(first) => first,
        Access::Session if line.path.starts_with("/api/v1/exports/{id}") => Right::Export,
        Access::Session if line.path.starts_with("/api/v1/holds/{id}") => Right::HoldSet,
        Access::Session | Access::Public => return Vec::new(),
    };
    let more: &[Right] = match line.path {
        path if path.starts_with("/api/v1/holds") => &[Right::HoldRelease, Right::AuditView],
        path if path.starts_with("/api/v1/exports") => &[Right::ExportApprove, Right::AuditView],
        path if path.contains("legal-changes") => &[Right::CameraEdit, Right::CameraApprove, Right::AuditView],
        path if path.starts_with("/api/v1/gated") => {
            &[Right::RetentionPropose, Right::RetentionApprove, Right::AuditView, Right::HoldSet, Right::HoldRelease]
        }
        // Whoever may agree sees the orders of the organisation.
        path if path.starts_with("/api/v1/reads/gated-searches") && line.method == "GET" => &[Right::GatedApprove],
        "/api/v1/grant-requests" => &[Right::GrantRequest],
        // A machine's own right for the same.
        path if path.starts_with("/api/v1/statistics") => &[Right::StatisticsDeliver],
        // One queue per profile, of one purpose.
        path if path.starts_with("/api/v1/findings") => &[Right::ZbtReview, Right::TrajectoryReview],
        "/api/v1/users" => &[Right::UserView, Right::UserCount],
        "/api/v1/audit" => &[Right::AuditTechnical, Right::AuditConfig, Right::AuditAdmin, Right::AuditCount],
        path if path.starts_with("/api/v1/second-wishes") => {
            &[Right::PartnerAdmin, Right::CameraRetire, Right::CameraRetireApprove, Right::GrantView]
        }
        _ => &[],
    };
    std::iter::once(first).chain(more.iter().copied()).collect()
}

/// Whether the object of a line belongs to a camera, so that the standing to its owner counts.
fn is_cameras(line: &Line) -> bool {
    let of = [
        "/api/v1/cameras/{id}",
        "/api/v1/holds/{id}",
        "/api/v1/exports/{id}",
        "/api/v1/stream-tickets",
        "/api/v1/playback-tickets",
    ];
    of.iter().any(|start| line.path.starts_with(start))
}

/// One request.
#[derive(Clone, Copy, Debug)]
struct Cell {
    line: &'static Line,
    profile: Profile,
    standing: Standing,
    /// Which of the stage's things: footage on hold, or free.
    things: usize,
    window: usize,
}

/// What a cell must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The matrix allows: 2xx.
    Answered,
    /// The matrix allows; the state of the town may still stand in the way.
    Passed,
    /// The matrix denies.
    Refused,
    /// More than the matrix decides.
    Open,
}

struct World {
    town: Town,
    things: Vec<Things>,
    matrix: Matrix,
}

impl World {
    /// What the matrix says when everything that a person can supply is supplied, and no event or station is around.
    fn says(&self, cell: &Cell, right: Right) -> Decision {
        let age = instant("2026-11-22T12:01:00Z").micros_since(instant(WINDOWS[cell.window].0));
        let relation = cell.standing.relation();
        let is_given = relation != Relation::Shared || GIVEN.contains(&right);
        let relation = if is_given { relation } else { Relation::Other };
        let takes_span = matches!(right, Right::Playback | Right::Export);
        self.matrix.decide(&Request {
            purpose: Some(Purpose::Intervention),
            justification: Some("melding van een buurtbewoner"),
            case_ref: Some("BR-1"),
            has_second_person: right == Right::Export,
            age_us: if takes_span && SPANS.contains(&name(cell.line).as_str()) { age } else { 0 },
            own_territory: cell.standing == Standing::Own,
            flow_active: cell.standing != Standing::Suspended,
            suspended: cell.standing == Standing::Suspended && right != Right::CameraList,
            reads_only: true,
            ..Request::bare(cell.profile, right, relation)
        })
    }

    /// A timeline is no use of footage: nothing is asked for but that the right is there.
    fn may_look(&self, cell: &Cell) -> bool {
        let decision = self.matrix.decide(&Request {
            flow_active: cell.standing != Standing::Suspended,
            suspended: cell.standing == Standing::Suspended,
            own_territory: cell.standing == Standing::Own,
            reads_only: true,
            ..Request::bare(cell.profile, Right::Playback, cell.standing.relation())
        });
        !matches!(decision, Decision::Deny(_))
    }

    fn has_cell(&self, profile: Profile, right: Right) -> bool {
        Relation::ALL.iter().any(|relation| {
            let decision = self.matrix.decide(&Request::bare(profile, right, *relation));
            !matches!(decision, Decision::Deny(policy::DenyReason::NotInTable))
        })
    }

    fn wanted(&self, cell: &Cell) -> Wanted {
        let line = cell.line;
        let when = |allowed: bool, yes: Wanted| if allowed { yes } else { Wanted::Refused };
        match (line.method, line.path) {
            ("GET", "/api/v1/cameras/{id}") => {
                return when(self.says(cell, Right::CameraList).is_allow(), Wanted::Answered);
            }
            ("GET", "/api/v1/cameras/{id}/timeline") => return when(self.may_look(cell), Wanted::Answered),
            ("POST", "/api/v1/stream-tickets") => {
                return when(self.says(cell, Right::Live).is_allow(), Wanted::Answered);
            }
            ("POST", "/api/v1/playback-tickets") => {
                return when(self.says(cell, Right::Playback).is_allow(), Wanted::Answered);
            }
            ("POST", "/api/v1/exports") => return when(self.says(cell, Right::Export).is_allow(), Wanted::Passed),
            ("POST", "/api/v1/holds") => return when(self.says(cell, Right::HoldSet).is_allow(), Wanted::Passed),
            _ => {}
        }
        if line.path.starts_with("/api/v1/playback/{file}") || line.path.starts_with("/api/v1/reads/{id}") {
            // Somebody else's playback, and a picture without the decision of one's own list: nobody's.
            return Wanted::Refused;
        }
        let rights = rights_of(line);
        if rights.is_empty() {
            return Wanted::Open;
        }
        let denies = |right: &Right| {
            if is_cameras(line) {
                matches!(self.says(cell, *right), Decision::Deny(_))
            } else {
                !self.has_cell(cell.profile, *right)
            }
        };
        if rights.iter().all(denies) { Wanted::Refused } else { Wanted::Open }
    }

    /// Sends a cell; a complaint when the answer is another than the matrix's.
    async fn send(&self, person: &Person, cell: &Cell, wanted: Wanted) -> Result<&'static str, String> {
        let (path, body) = concrete(cell.line, &self.things[cell.things]);
        let (path, body) = (shifted(&path, cell.window), body.map(|body| shifted(&body.to_string(), cell.window)));
        let body: Option<Value> = body.map(|text| serde_json::from_str(&text).unwrap());
        let method = Method::from_bytes(cell.line.method.as_bytes()).unwrap();
        let asks_only = is_asking(cell.line);
        let mut request = Town::request(person, method, &path, body);
        request.headers_mut().insert(http::header::IF_MATCH, "\"1\"".parse().unwrap());
        let response = self.town.send(request).await;
        // A stream of events has no end to wait for.
        let (status, told) =
            if cell.line.path == "/api/v1/events" { (response.status(), Value::Null) } else { answer(response).await };
        // Of a camera that one may know, wrong fields and the state may be told before the right is asked for; nothing is done.
        let is_told = !asks_only && matches!(status, StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT);
        let is_refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) || is_told;
        let passes = status.is_success() || is_told;
        let (agrees, word) = match wanted {
            Wanted::Answered => (status.is_success(), "allowed by the matrix, and answered"),
            Wanted::Passed => (passes, "allowed by the matrix, and taken or told what stands in the way"),
            Wanted::Refused => (is_refused, "denied by the matrix, and refused"),
            Wanted::Open => {
                (!status.is_server_error() && status != StatusCode::UNAUTHORIZED, "decided by more than the matrix")
            }
        };
        let code = told["code"].as_str().unwrap_or("");
        agrees.then_some(word).ok_or_else(|| format!("{cell:?}: {status} {code}, wanted {wanted:?}"))
    }
}

fn shifted(text: &str, window: usize) -> String {
    let ((from, to), (new_from, new_to)) = (WINDOWS[0], WINDOWS[window]);
    if window == 0 { text.to_owned() } else { text.replace(from, new_from).replace(to, new_to) }
}

fn is_asking(line: &Line) -> bool {
    line.method == "GET" || line.path.ends_with("-tickets")
}

/// The cells of a line: the hold state counts where there is a camera, the window where a span is asked for.
fn cells_of(line: &'static Line, profile: Profile, standing: Standing, things: usize) -> Vec<Cell> {
    let windows = if SPANS.contains(&name(line).as_str()) { WINDOWS.len() } else { 1 };
    let things = if names_camera(line) { things } else { 1 };
    let pairs = (0..things).flat_map(|things| (0..windows).map(move |window| (things, window)));
    pairs.map(|(things, window)| Cell { line, profile, standing, things, window }).collect()
}

fn names_camera(line: &Line) -> bool {
    is_cameras(line)
        || ["/api/v1/holds", "/api/v1/exports", "/api/v1/gated", "/api/v1/grants", "/api/v1/grant-requests"]
            .iter()
            .any(|start| line.path.starts_with(start))
        || ["/api/v1/break-glass", "/api/v1/sharing-events", "/api/v1/reads/gated-searches"].contains(&line.path)
}

async fn share(town: &Town, things: &[Things], org: &str, to: &str) {
    let cameras: Vec<&Value> = things.iter().map(|things| &things.camera["id"]).collect();
    let share = json!({ "camera_ids": cameras, "partner_id": town.org(org).await.to_string(),
        "rights": GIVEN.map(Right::as_str), "from": "2026-11-22T11:00:00Z", "to": to });
    let (status, answer) = town.post(&town.person("chief").await, "/api/v1/grants", share).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

/// Two cameras, one with footage on hold and one without; shares in every state.
async fn world() -> World {
    let (town, held) = stage().await;
    let free = Things { camera: town.camera("C2").await, ..held.clone() };
    let things = vec![held, free];
    for org in ["5339", "MIVB", "5342"] {
        share(&town, &things, org, "2027-11-22T11:00:00Z").await;
    }
    share(&town, &things, "5343", "2026-11-22T12:00:30Z").await;
    let stop = json!({ "step": "suspend", "reason": "klacht in onderzoek", "authority": "CC-2026-14" });
    let overseer = town.person("overseer").await;
    let (status, answer) = town.post(&overseer, "/api/v1/flows/SHARE:5340:5342:*/switch", stop).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    town.clock.pass_s(60);
    World { town, things, matrix: Matrix::embedded().unwrap() }
}

#[derive(Default)]
struct Count {
    cells: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Count {
    fn add(&mut self, answer: Result<&'static str, String>) {
        match answer {
            Ok(word) => *self.cells.entry(word).or_default() += 1,
            Err(complaint) => self.wrong.push(complaint),
        }
    }

    fn join(&mut self, other: Self) {
        for (word, count) in other.cells {
            *self.cells.entry(word).or_default() += count;
        }
        self.wrong.extend(other.wrong);
    }
}

/// Every cell of one profile that changes nothing; those left are returned, with whose they are.
async fn ask(
    world: Arc<World>,
    profile: Profile,
    people: Vec<(Standing, Person)>,
) -> (Count, Vec<(Person, Vec<Cell>)>) {
    let (mut count, mut left) = (Count::default(), Vec::new());
    for (standing, person) in people {
        let mut later = Vec::new();
        for line in ROUTES.iter().filter(|line| line.access != Access::Public) {
            for cell in cells_of(line, profile, standing, world.things.len()) {
                let wanted = world.wanted(&cell);
                if is_asking(line) || wanted == Wanted::Refused {
                    count.add(world.send(&person, &cell, wanted).await);
                } else {
                    later.push(cell);
                }
            }
        }
        left.push((person, later));
    }
    (count, left)
}

/// Somebody of a profile in each standing, logged in.
async fn people(town: &Town, profile: Profile) -> Vec<(Standing, Person)> {
    let mut people = Vec::new();
    for (standing, org) in STANDINGS {
        let user = format!("cell{}{}", profile.as_str().to_lowercase(), org.to_lowercase());
        town.account(&user, org, profile).await;
        people.push((standing, town.person(&user).await));
    }
    people
}

#[test]
fn every_route_has_its_entry() {
    let matrix = Matrix::embedded().unwrap();
    let rows: BTreeSet<Right> = Profile::ALL.iter().flat_map(|profile| matrix.rights_of(*profile)).collect();
    let mut seen = BTreeSet::new();
    for line in ROUTES {
        assert!(seen.insert(name(line)), "{} stands twice", name(line));
        match line.access {
            Access::Public => {
                // Logging in, in every way that there is; the machine's by its certificate.
                let open = ["/api/v1/login", "/api/v1/machine/token", "/api/v1/openapi.json", "/health"];
                let is_open = open.contains(&line.path) || line.path.starts_with("/api/v1/login/");
                assert!(is_open, "{} is open to everybody: say why in `open`", name(line));
            }
            Access::Right(right) => assert!(rows.contains(&right), "{}: nobody has {right}", name(line)),
            Access::Session => {
                let entry = SESSION_ONLY.iter().find(|(start, _)| line.path.starts_with(start));
                assert!(entry.is_some(), "{} asks for a session only: say why in SESSION_ONLY", name(line));
            }
        }
    }
    for name in SPANS {
        assert!(seen.contains(*name), "{name} is no route");
    }
}

/// Condition z asks for one's own territory. As long as it stands in cells of own things only, whose place is the owner's by law, no
/// outline of a municipality decides anything; a cell for others' cameras would need the outlines (`UrbIS`) first.
#[test]
fn territory_is_asked_of_own_things_only() {
    let matrix = Matrix::embedded().unwrap();
    let asks = |words: &[policy::Condition]| words.contains(&policy::Condition::OwnTerritory);
    let relations: BTreeSet<Relation> =
        matrix.cells().filter(|(_, words)| asks(words)).map(|((_, _, relation), _)| relation).collect();
    assert_eq!(relations, BTreeSet::from([Relation::Own]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_the_router_agrees_with_the_matrix() {
    let world = Arc::new(world().await);
    let mut asking = JoinSet::new();
    for profile in Profile::ALL {
        let people = people(&world.town, *profile).await;
        asking.spawn(ask(Arc::clone(&world), *profile, people));
    }
    let (mut count, mut left) = (Count::default(), Vec::new());
    while let Some(done) = asking.join_next().await {
        let (part, rest) = done.unwrap();
        count.join(part);
        left.extend(rest);
    }
    let mut late: Vec<(usize, Person, Cell)> = Vec::new();
    for (person, cells) in left {
        for cell in cells {
            let at = ROUTES.iter().position(|line| line == cell.line).unwrap();
            // Orders while the cameras are what they were; whoever logs out asks for nothing more.
            let at = match cell.line.path {
                "/api/v1/exports" | "/api/v1/holds" => 0,
                "/api/v1/logout" => ROUTES.len() + 1,
                _ => at + 1,
            };
            late.push((at, person.clone(), cell));
        }
    }
    late.sort_by_key(|(at, _, cell)| (*at, cell.profile.as_str(), cell.standing));
    for (_, person, cell) in &late {
        count.add(world.send(person, cell, world.wanted(cell)).await);
    }
    let sum: usize = count.cells.values().sum();
    println!("A2: {sum} cells of {} routes, all sent: {:?}", ROUTES.len(), count.cells);
    assert!(count.wrong.is_empty(), "{} cells disagree:\n{}", count.wrong.len(), count.wrong.join("\n"));
    assert!(sum > 20_000, "{sum} cells");
    assert!(count.cells["denied by the matrix, and refused"] > 10_000, "{:?}", count.cells);
    assert!(count.cells["allowed by the matrix, and answered"] > 300, "{:?}", count.cells);
}
