use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use vms_app::fakes::MediaCall;
use vms_app::model::{GapCopy, SegmentCopy};
use vms_app::ports::RangeForm;
use vms_app::words::Cause;
use vms_core::SegmentId;

use crate::town::{Person, Town, bytes_of, instant, stream_of};

fn wish(camera: &Value, from: &str, to: &str) -> Value {
    json!({
        "stream_id": stream_of(camera, "main").to_string(), "from": from, "to": to,
        "purpose": { "code": "INTERVENTIE", "justification": "overval op de Grote Markt" },
    })
}

async fn part(town: &Town, person: &Person, url: &str, range: Option<&str>) -> axum::response::Response {
    let mut request = Request::get(url).header(header::COOKIE, &person.cookie);
    if let Some(range) = range {
        request = request.header(header::RANGE, range);
    }
    town.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_span_is_played_in_ranges_by_its_session_only() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let (from, to) = ("2026-11-22T11:00:00Z", "2026-11-22T12:05:00+01:00");
    let mut bare = wish(&camera, from, to);
    bare.as_object_mut().unwrap().remove("purpose");
    assert_eq!(town.post(&supervisor, "/api/v1/playback-tickets", bare).await.1["code"], "purpose_required");
    let (status, ticket) = town.post(&supervisor, "/api/v1/playback-tickets", wish(&camera, from, to)).await;
    assert_eq!((status, &ticket["size"]), (StatusCode::OK, &json!(3_000_000)), "{ticket}");
    let url = ticket["url"].as_str().unwrap();

    let whole = part(&town, &supervisor, url, None).await;
    assert_eq!(
        (whole.status(), whole.headers()[header::CACHE_CONTROL].to_str().unwrap()),
        (StatusCode::OK, "no-store")
    );
    assert_eq!(bytes_of(whole).await, town.media.film);
    let some = part(&town, &supervisor, url, Some("bytes=1000000-2999999")).await;
    assert_eq!(some.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(some.headers()[header::CONTENT_RANGE], "bytes 1000000-2999999/3000000");
    assert_eq!(bytes_of(some).await, town.media.film.slice(1_000_000..));
    let none = part(&town, &supervisor, url, Some("bytes=3000000-")).await;
    assert_eq!(none.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let (chief, again) = (town.person("chief").await, town.person("supervisor").await);
    for other in [&chief, &again] {
        assert_eq!(part(&town, other, url, None).await.status(), StatusCode::NOT_FOUND, "another session");
    }
    let path = url.strip_suffix(".mp4").unwrap();
    let close = Town::request(&supervisor, Method::DELETE, path, None);
    assert_eq!(town.send(close).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(part(&town, &supervisor, url, None).await.status(), StatusCode::NOT_FOUND);
    let entries = town.log.entries();
    let last = entries.iter().rev().find(|entry| entry.kind.as_str() == "close").unwrap();
    assert_eq!((&last.details["bytes"], &last.details["ended"]), (&json!(5_000_000), &json!("closed")));
    assert!(town.cases.stores().playback_list_open().await.unwrap().is_empty());
}

#[tokio::test]
async fn spans_are_bounded_old_ones_refused_and_idle_ones_closed() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let operator = town.person("operator").await;
    for (from, to, status, code) in [
        ("2026-11-22T11:00:00Z", "2026-11-22T11:15:01Z", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("yesterday", "2026-11-22T11:00:00Z", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("2026-11-19T11:00:00Z", "2026-11-19T11:05:00Z", StatusCode::FORBIDDEN, "too_old"),
    ] {
        let (got, problem) = town.post(&operator, "/api/v1/playback-tickets", wish(&camera, from, to)).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{from} {to}");
    }
    assert!(town.media.calls().is_empty(), "nothing was opened");
    let fine = wish(&camera, "2026-11-22T11:00:00Z", "2026-11-22T11:15:00Z");
    let (_, ticket) = town.post(&operator, "/api/v1/playback-tickets", fine).await;
    assert!(matches!(town.media.calls()[..], [MediaCall::OpenRange(..)]));
    town.clock.pass_s(14 * 60);
    let kept = part(&town, &operator, ticket["url"].as_str().unwrap(), Some("bytes=0-0")).await;
    assert_eq!(bytes_of(kept).await.len(), 1);
    town.clock.pass_s(14 * 60);
    town.cases.housekeeping().await.unwrap();
    assert_eq!(town.cases.stores().playback_list_open().await.unwrap().len(), 1, "it was used in between");
    town.clock.pass_s(60);
    town.cases.housekeeping().await.unwrap();
    assert!(town.cases.stores().playback_list_open().await.unwrap().is_empty());
    assert_eq!(town.leaves().last().unwrap(), "close playback");
}

#[tokio::test]
async fn a_playback_ends_with_the_right_to_it() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let fine = wish(&camera, "2026-11-22T11:00:00Z", "2026-11-22T11:15:00Z");
    let (_, ticket) = town.post(&supervisor, "/api/v1/playback-tickets", fine).await;
    let (_, session) = town.get(&supervisor, "/api/v1/session").await;
    let id = ticket["playback_id"].as_str().unwrap().parse().unwrap();
    let actor = town.cases.who(supervisor.cookie.split_once('=').unwrap().1).await.unwrap().actor;
    assert_eq!(town.cases.playback_chunk(&actor, id, 0, 10).await.unwrap().len(), 10);
    let administrator = town.person("administrator").await;
    let path = format!("/api/v1/users/{}", session["user"]["id"].as_str().unwrap());
    town.patch(&administrator, &path, "*", json!({ "disabled": true })).await;
    town.clock.pass_s(5);
    assert!(town.cases.playback_chunk(&actor, id, 10, 20).await.is_err(), "five seconds later nothing comes");
}

#[tokio::test]
async fn timelines_show_bars_and_holes() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let stream = stream_of(&camera, "main");
    let at = |second: u32| instant(&format!("2026-11-22T11:{:02}:{:02}Z", second / 60, second % 60));
    let segment = |n: u8, from, to| SegmentCopy {
        segment: SegmentId::from_bytes([n; 16]),
        stream,
        from: at(from),
        to: at(to),
        payload_bytes: 1,
        units: 1,
        is_closed: true,
        erased_at: None,
        retention_class: "RC-VID-OPEN".to_owned(),
        clock_stepped: n == 2,
        camera_clock_off: n == 3,
    };
    let gap = GapCopy { stream, from: at(120), to: Some(at(180)), cause: Cause::Silent };
    let segments = [segment(1, 0, 60), segment(2, 60, 120), segment(3, 180, 240)];
    town.cases.stores().catalogue_apply("r0", &segments, &[gap], 1).await.unwrap();
    let path = format!("/api/v1/cameras/{}/timeline", camera["id"].as_str().unwrap());
    let query = "?from=2026-11-22T11:00:30Z&to=2026-11-22T11:10:00Z";
    let operator = town.person("operator").await;
    let (status, timeline) = town.get(&operator, &format!("{path}{query}")).await;
    assert_eq!(status, StatusCode::OK, "{timeline}");
    let bar = |from: &str, to: &str| json!({ "from": format!("2026-11-22T11:{from}.000000Z"), "to": format!("2026-11-22T11:{to}.000000Z") });
    assert_eq!(timeline["segments"], json!([bar("00:30", "02:00"), bar("03:00", "04:00")]));
    assert_eq!(timeline["gaps"][0]["cause"], "silent");
    let mark = |at: &str, what: &str| json!({ "at": format!("2026-11-22T11:{at}.000000Z"), "what": what });
    assert_eq!(timeline["clocks"], json!([mark("01:00", "host_stepped"), mark("03:00", "camera_off")]));
    let stranger = town.person("stranger").await;
    assert_eq!(town.get(&stranger, &format!("{path}{query}")).await.0, StatusCode::NOT_FOUND);
    let (status, _) = town.get(&operator, &format!("{path}?from=2026-01-01T00:00:00Z&to=2026-11-22T11:10:00Z")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn uses_that_a_dead_process_left_open_get_their_last_word() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let fine = wish(&camera, "2026-11-22T11:00:00Z", "2026-11-22T11:15:00Z");
    town.post(&supervisor, "/api/v1/playback-tickets", fine).await;
    assert_eq!(town.cases.playbacks_close_left_over().await.unwrap(), 1);
    assert_eq!(town.cases.playbacks_close_left_over().await.unwrap(), 0);
    assert_eq!(town.leaves().last().unwrap(), "system playback_interrupted");
}

#[tokio::test]
async fn a_playback_answers_conditions_and_head() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let fine = wish(&camera, "2026-11-22T11:00:00Z", "2026-11-22T11:15:00Z");
    let (_, ticket) = town.post(&supervisor, "/api/v1/playback-tickets", fine).await;
    let url = ticket["url"].as_str().unwrap();
    assert_eq!(ticket["clock"], json!([{ "media_us": 0, "at": "2026-11-22T11:00:00.000000Z" }]));
    let ask = async |method: Method, fields: &[(&str, &str)]| {
        let request = Request::builder().method(method).uri(url).header(header::COOKIE, &supervisor.cookie);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        town.send(request.body(Body::empty()).unwrap()).await
    };
    for (method, fields, status, length) in [
        (Method::HEAD, &[][..], StatusCode::OK, Some("3000000")),
        (Method::HEAD, &[("range", "bytes=0-9")], StatusCode::OK, Some("3000000")),
        (Method::HEAD, &[("if-none-match", "\"fake\"")], StatusCode::NOT_MODIFIED, None),
        (Method::GET, &[("if-none-match", "W/\"fake\"")], StatusCode::NOT_MODIFIED, None),
        (Method::GET, &[("if-match", "\"other\"")], StatusCode::PRECONDITION_FAILED, None),
        (Method::GET, &[("range", "bytes=0-9"), ("if-range", "\"fake\"")], StatusCode::PARTIAL_CONTENT, Some("10")),
        (Method::GET, &[("range", "bytes=0-9"), ("if-range", "\"other\"")], StatusCode::OK, Some("3000000")),
    ] {
        let answer = ask(method.clone(), fields).await;
        assert_eq!(answer.status(), status, "{method} {fields:?}");
        assert_eq!(answer.headers()[header::ETAG], "\"fake\"", "{method} {fields:?}");
        let said = answer.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap());
        assert!(length.is_none() || said == length, "{method} {fields:?}: {said:?}");
        let body = bytes_of(answer).await;
        let sent = if method == Method::HEAD { 0 } else { length.map_or(0, |length| length.parse().unwrap()) };
        assert_eq!(body.len(), sent, "{method} {fields:?}");
    }
}

#[tokio::test]
async fn a_playlist_names_the_bytes_of_the_playback_for_its_session_only() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let supervisor = town.person("supervisor").await;
    let fine = wish(&camera, "2026-11-22T11:00:00Z", "2026-11-22T11:15:00Z");
    let (_, ticket) = town.post(&supervisor, "/api/v1/playback-tickets", fine).await;
    let (id, list) = (ticket["playback_id"].as_str().unwrap(), ticket["playlist_url"].as_str().unwrap());
    let opened = town.leaves().len();
    let answer = part(&town, &supervisor, list, None).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/vnd.apple.mpegurl");
    let text = String::from_utf8(bytes_of(answer).await.to_vec()).unwrap();
    for line in [
        "#EXT-X-BYTERANGE:1500000@0",
        "#EXT-X-BYTERANGE:1500000@1500000",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-MAP:URI=\"parts/init-1.mp4\"",
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T11:00:06.000000Z",
        &format!("../{id}.mp4"),
        "#EXT-X-ENDLIST",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    let init = format!("/api/v1/playback/{id}/parts/init-1.mp4");
    assert_eq!(bytes_of(part(&town, &supervisor, &init, None).await).await, "init");
    assert_eq!(town.leaves().len(), opened, "under the decision of the playback: no other leaf");
    let (chief, again) = (town.person("chief").await, town.person("supervisor").await);
    for path in [list, &init, &format!("/api/v1/playback/{id}/parts/0.m4s"), &format!("/api/v1/playback/{id}/pictures")]
    {
        for other in [&chief, &again] {
            assert_eq!(part(&town, other, path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let bare = town.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(bare.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    // It is no preview, and has no third init segment.
    for path in ["parts/0.m4s", "parts/init-2.mp4", "parts/x", "pictures"] {
        let path = format!("/api/v1/playback/{id}/{path}");
        assert_eq!(part(&town, &supervisor, &path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_preview_is_decided_and_logged_like_the_footage() {
    let town = Town::settled().await;
    let camera = town.camera("C1").await;
    let operator = town.person("operator").await;
    let preview = |from: &str, to: &str, rendition: &str| {
        let mut wish = wish(&camera, from, to);
        wish["rendition"] = json!(rendition);
        wish
    };
    for (from, to, rendition, status, code) in [
        ("2026-11-21T10:00:00Z", "2026-11-22T10:00:01Z", "preview", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("2026-11-22T11:00:00Z", "2026-11-22T11:05:00Z", "coarse", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("2026-11-19T11:00:00Z", "2026-11-19T12:00:00Z", "preview", StatusCode::FORBIDDEN, "too_old"),
    ] {
        let (got, problem) = town.post(&operator, "/api/v1/playback-tickets", preview(from, to, rendition)).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{from} {to} {rendition}");
    }
    assert!(town.media.calls().is_empty(), "nothing was opened");
    let day = preview("2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z", "preview");
    let (status, ticket) = town.post(&operator, "/api/v1/playback-tickets", day).await;
    assert_eq!((status, &ticket["rendition"]), (StatusCode::OK, &json!("preview")), "{ticket}");
    assert!(matches!(town.media.calls()[..], [MediaCall::OpenRange(.., RangeForm::Preview)]));
    let entries = town.log.entries();
    let leaf = entries.iter().rev().find(|entry| entry.kind.as_str() == "open").unwrap();
    assert_eq!((&leaf.details["right"], &leaf.details["object"]), (&json!("playback"), &json!("preview")));
    let id = ticket["playback_id"].as_str().unwrap();
    let (_, pictures) = town.get(&operator, &format!("/api/v1/playback/{id}/pictures")).await;
    assert_eq!((&pictures["at_ms"], &pictures["init"]), (&json!([0, 6_000]), &json!([1, 1])));
    let url = ticket["url"].as_str().unwrap();
    for (path, wanted) in [
        (format!("/api/v1/playback/{id}/parts/1.m4s"), "picture 1"),
        (format!("/api/v1/playback/{id}/parts/init-1.mp4"), "init"),
        (url.to_owned(), "initpicture 0picture 1"),
    ] {
        assert_eq!(bytes_of(part(&town, &operator, &path, None).await).await, wanted, "{path}");
    }
    let beyond = part(&town, &operator, &format!("/api/v1/playback/{id}/parts/2.m4s"), None).await;
    assert_eq!(beyond.status(), StatusCode::NOT_FOUND);
    let close = Town::request(&operator, Method::DELETE, url.strip_suffix(".mp4").unwrap(), None);
    assert_eq!(town.send(close).await.status(), StatusCode::NO_CONTENT);
    let entries = town.log.entries();
    let last = entries.iter().rev().find(|entry| entry.kind.as_str() == "close").unwrap();
    assert_eq!(last.details["bytes"], json!(3 * "picture 0".len()), "every picture counts as delivered");
}
