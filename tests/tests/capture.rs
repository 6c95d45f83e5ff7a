//! What weft sees of requests: each once, with who asked what of whom and when, and nothing that is secret.
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use weft_tests::agent::{Agent, Line, Segment, Watch};
use weft_tests::dial::{Wire, pair};
use weft_tests::http::Request;
use weft_tests::image::segment_image;
use weft_tests::wait::wait_for;

const SOON: Duration = Duration::from_secs(90);

#[test]
fn a_request_is_told_with_who_asked_what_of_whom_and_when_and_without_any_secret() -> Result<()> {
    let mut agent = shop("who")?;
    let (caller, watch, began_ms) = (agent.caller()?, agent.watch()?, now_ms());
    let target = "/cart/7?user=5ecret-7&&page=5ecret-8&flag";
    let first = caller.get(agent.address("cart"), "/first", "5ecret-ann")?;
    let again = caller.get(agent.address("cart"), target, "5ecret-ann")?;
    let bob = caller.get(agent.address("cart"), "/bob", "5ecret-bob")?;
    let cookie = Request::get(agent.address("cart"), "/cookie").header("cookie", "sid=5ecret-cat");
    caller.send(&cookie)?;

    let told = watch.request("/cart/7")?;
    assert_eq!((&told["method"], &told["segment"]), (&"GET".into(), &"cart".into()));
    assert_eq!(told["parameters"], serde_json::json!(["user", "page", "flag"]));
    assert_eq!(port(&told["from"])?, again.local_port);
    assert_eq!((&told["server"], &told["caller"]), (&"cart".into(), &serde_json::Value::Null));
    let at_ms = told["at_ms"].as_f64().context("a time")?;
    assert!((began_ms..now_ms() + 1.0).contains(&at_ms), "{at_ms} is not between {began_ms} and now");
    let instance = instance_of(&agent, "cart")?;
    assert_eq!((&told["to"], &told["instance"]), (&instance["address"], &instance["name"]));

    let principals =
        ["/first", "/bob", "/cookie"].map(|path| watch.request(path).map(|r| r["principal"].clone()));
    let [ann, bobs, cookies] = principals;
    let (ann, bobs, cookies) = (ann?, bobs?, cookies?);
    assert_eq!(told["principal"], ann);
    assert!(bobs != ann && cookies != ann && cookies != bobs, "{ann} {bobs} {cookies}");
    assert_ne!(first.local_port, bob.local_port);

    let inner = watch.wait_for("a call of the cart's", SOON, |line| {
        line["kind"] == "request" && line["segment"] == "price"
    })?;
    assert_eq!((&inner["caller"], &inner["path"]), (&"cart".into(), &"/price".into()));
    nothing_holds_a_secret(&mut agent, &watch)?;
    agent.stop()
}

#[test]
fn a_request_line_cut_over_segments_is_seen_once() -> Result<()> {
    let agent = Agent::builder("cut").start()?;
    let watch = agent.watch()?;
    let text = "GET /cut/#?secret=1 HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer ann\r\n\r\n";
    let cuts: [&[usize]; 5] = [&[7], &[2, 11], &[3, 4], &[24, 26], &[1, text.len() - 1]];
    for (id, cut) in cuts.into_iter().enumerate() {
        let (mut client, mut server) = pair(agent.subtree()?)?;
        let before = captured(&agent)?;
        let text = text.replace('#', &id.to_string());
        let mut begin = 0;
        for end in cut.iter().copied().chain([text.len()]) {
            client.send_to(&mut server, &text.as_bytes()[begin..end])?;
            begin = end;
        }
        assert_eq!(captured(&agent)? - before, cut.len() as u64 + 1, "each piece of {cut:?} is a segment");
        watch.request(&format!("/cut/{id}"))?;
    }
    let requests = last_seen(&agent, &watch)?;
    assert_eq!(paths(&requests), ["/cut/0", "/cut/1", "/cut/2", "/cut/3", "/cut/4", "/last"]);
    assert!(requests[..5].iter().all(|request| request["principal"] == requests[0]["principal"]));
    agent.stop()
}

#[test]
fn requests_on_one_connection_are_each_seen_once_also_when_pipelined() -> Result<()> {
    let agent = Agent::builder("alive").start()?;
    let watch = agent.watch()?;
    let (mut client, mut server) = pair(agent.subtree()?)?;
    for path in ["/a", "/b"] {
        exchange(&mut client, &mut server, &get(path))?;
    }
    // What a server says is no request, whatever it looks like.
    server.send_to(&mut client, get("/lure").as_bytes())?;
    let pipelined: String = ["/c", "/d", "/e"].map(get).concat();
    exchange(&mut client, &mut server, &pipelined)?;
    // The border between two segments falls into a request.
    let (one, rest) = (get("/f"), get("/g"));
    client.send_to(&mut server, format!("{one}{}", &rest[..9]).as_bytes())?;
    client.send_to(&mut server, &rest.as_bytes()[9..])?;
    let requests = last_seen(&agent, &watch)?;
    assert_eq!(paths(&requests), ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/last"]);
    agent.stop()
}

#[test]
fn a_body_that_looks_like_requests_is_none() -> Result<()> {
    let agent = Agent::builder("body").start()?;
    let watch = agent.watch()?;
    let lure = get("/lure");
    let (mut client, mut server) = pair(agent.subtree()?)?;
    let head = |path: &str, length| {
        format!("POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {length}\r\n\r\n")
    };
    exchange(&mut client, &mut server, &(head("/one-piece", lure.len()) + &lure))?;
    client.send_to(&mut server, head("/two-pieces", lure.len()).as_bytes())?;
    exchange(&mut client, &mut server, &lure)?;
    let large = lure.repeat(20_000);
    client.send_to(&mut server, head("/large", large.len()).as_bytes())?;
    exchange(&mut client, &mut server, &large)?;
    exchange(&mut client, &mut server, &get("/after"))?;
    let requests = last_seen(&agent, &watch)?;
    assert_eq!(paths(&requests), ["/one-piece", "/two-pieces", "/large", "/after", "/last"]);
    agent.stop()
}

#[test]
fn chunks_that_look_like_requests_are_none() -> Result<()> {
    let agent = Agent::builder("chunks").start()?;
    let watch = agent.watch()?;
    let lure = get("/lure");
    let head =
        |path: &str| format!("POST {path} HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n");
    let size = format!("{:x}\r\n", lure.len());
    let (mut client, mut server) = pair(agent.subtree()?)?;
    let whole = format!("{}{size}{lure}\r\n0\r\n\r\n", head("/whole"));
    exchange(&mut client, &mut server, &whole)?;
    for path in ["/pieces", "/more"] {
        for piece in [head(path), size.clone(), lure.clone(), format!("\r\n{size}"), lure.clone()] {
            client.send_to(&mut server, piece.as_bytes())?;
        }
        exchange(&mut client, &mut server, "\r\n0\r\n\r\n")?;
    }
    exchange(&mut client, &mut server, &get("/after"))?;
    let requests = last_seen(&agent, &watch)?;
    assert_eq!(paths(&requests), ["/whole", "/pieces", "/more", "/after", "/last"]);
    agent.stop()
}

#[test]
fn containers_of_others_are_named_by_their_pods() -> Result<()> {
    let agent = Agent::builder("pods").start()?;
    let watch = agent.watch()?;
    agent.import_for_pods()?;
    let catalog = agent.start_pod("shop/catalog-0/web", &[])?;
    let front =
        agent.start_pod("shop/front-0/nginx", &[("CALLS", &format!("http://{catalog}/books?id=7"))])?;
    agent.caller()?.get(front, "/page", "ann")?;
    let asked = watch.request("/page")?;
    assert_eq!(
        (&asked["server"], &asked["caller"]),
        (&"shop/front-0/nginx".into(), &serde_json::Value::Null)
    );
    let inner = watch.request("/books")?;
    assert_eq!(inner["caller"], "shop/front-0/nginx");
    assert_eq!(inner["server"], "shop/catalog-0/web");
    assert_eq!(
        (&inner["segment"], &inner["parameters"]),
        (&serde_json::Value::Null, &serde_json::json!(["id"]))
    );
    assert_eq!(inner["to"], catalog.to_string());
    agent.stop()
}

#[test]
fn what_is_no_http_is_counted_and_passes_untouched() -> Result<()> {
    let agent = Agent::builder("noise").start()?;
    let watch = agent.watch()?;
    let noise: Vec<u8> = (0..9000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let like_http = |rest: &[u8]| [b"GET ", rest].concat();
    let malformed = [
        b"GET / SMTP\r\n\r\n".to_vec(),
        b"POST /\0\0 HTTP/1.1\r\n\r\n".to_vec(),
        b"DELETE  HTTP/9.9\r\n: \r\n\r\n".to_vec(),
        like_http(&noise[..300]),
        like_http(&noise),
        [b"GET / HTTP/1.1\r\n", &b"A: b\r\n".repeat(500)[..]].concat(),
    ];
    let tls_hello =
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), noise[..506].to_vec()].concat();
    let foreign = [tls_hello, noise, vec![0; 70_000], b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), b"\r\n".to_vec()];
    for bytes in malformed.iter().chain(&foreign) {
        let (mut client, mut server) = pair(agent.subtree()?)?;
        client.send_to(&mut server, bytes)?;
        server.send_to(&mut client, bytes)?;
    }
    let requests = last_seen(&agent, &watch)?;
    assert_eq!(paths(&requests), ["/last"]);
    assert_eq!(metric(&agent, "weft_capture_malformed_total")?, malformed.len() as f64);
    assert_eq!(metric(&agent, "weft_capture_gaps_total")?, 0.0);
    agent.stop()
}

#[test]
fn a_head_longer_than_is_kept_is_seen_by_its_first_lines_however_it_is_cut() -> Result<()> {
    let agent = Agent::builder("long").start()?;
    let watch = agent.watch()?;
    let filler = format!("X-Filler: {}\r\n", "0123456789abcdef".repeat(100)).repeat(42);
    assert!(filler.len() > 64 << 10);
    for (id, size) in [100, 1448, 5000, 100_000].into_iter().enumerate() {
        let (mut client, mut server) = pair(agent.subtree()?)?;
        let text = format!("GET /long/{id} HTTP/1.1\r\nAuthorization: Bearer ann\r\n{filler}\r\n");
        for piece in text.as_bytes().chunks(size) {
            client.send_to(&mut server, piece)?;
        }
        server.send_to(&mut client, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        exchange(&mut client, &mut server, &get(&format!("/next/{id}")))?;
    }
    let requests = last_seen(&agent, &watch)?;
    let expected =
        ["/long/0", "/next/0", "/long/1", "/next/1", "/long/2", "/next/2", "/long/3", "/next/3", "/last"];
    assert_eq!(paths(&requests), expected);
    assert!(
        requests.iter().step_by(2).take(4).all(|request| request["principal"] == requests[0]["principal"])
    );
    agent.stop()
}

#[test]
fn a_full_ring_counts_what_it_drops_and_loses_no_traffic() -> Result<()> {
    let agent = shop("ring")?;
    agent.dial(agent.address("price"))?.ask("/warm")?;
    let mut wire = agent.dial(agent.address("price"))?;
    assert_eq!(agent.status()?["capture_drops"], 0);
    let filler = "X-Filler: 0123456789abcdef\r\n".repeat(150);
    let text = format!("GET /full HTTP/1.1\r\n{filler}\r\n");
    let halted = agent.halt()?;
    // Each takes up more than 4 KiB of a ring of 4 MiB.
    for _ in 0..1_200 {
        wire.send(text.as_bytes())?;
        assert_eq!(wire.answer()?.status, 200);
    }
    drop(halted);
    wait_for("the drops to be counted", SOON, || {
        metric(&agent, "weft_capture_drops_total").is_ok_and(|n| n > 100.0)
    })?;
    let watch = agent.watch()?;
    wire.ask("/goes-on")?;
    watch.request("/goes-on")?;
    drop(wire);
    agent.stop()
}

/// A cart that asks for a price at every request.
fn shop(name: &str) -> Result<Agent> {
    let cache = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/images");
    let price = "10.96.0.12:80";
    let calls = format!("http://{price}/price?item=7");
    Agent::builder(name)
        .image(segment_image("shop/segment:1", &cache)?)
        .segment(Segment::new("cart", "shop/segment:1").env("CALLS", &calls))
        .segment(Segment::new("price", "shop/segment:1").address(price.parse()?))
        .log("trace")
        .start()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")
}

/// A request that arrives whole, and its answer.
fn exchange(client: &mut Wire, server: &mut Wire, request: &str) -> Result<()> {
    client.send_to(server, request.as_bytes())?;
    server.send_to(client, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

/// All requests, after one that nothing can come after.
fn last_seen(agent: &Agent, watch: &Watch) -> Result<Vec<Line>> {
    let (mut client, mut server) = pair(agent.subtree()?)?;
    exchange(&mut client, &mut server, &get("/last"))?;
    watch.request("/last")?;
    Ok(watch.requests())
}

fn paths(requests: &[Line]) -> Vec<&str> {
    requests.iter().filter_map(|request| request["path"].as_str()).collect()
}

fn captured(agent: &Agent) -> Result<u64> {
    agent.status()?["captured_segments"].as_u64().context("a count")
}

fn metric(agent: &Agent, name: &str) -> Result<f64> {
    let text = agent.metrics()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.with_context(|| format!("no {name}"))?.parse().context("a number")
}

fn port(address: &serde_json::Value) -> Result<u16> {
    let address: std::net::SocketAddr = address.as_str().context("an address")?.parse()?;
    Ok(address.port())
}

fn instance_of(agent: &Agent, segment: &str) -> Result<Line> {
    let status = agent.status()?;
    let mut instances = status["instances"].as_array().into_iter().flatten();
    instances.find(|instance| instance["segment"] == segment).cloned().context("an instance")
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1000.0
}

/// Looks through all that the agent shows and writes, also at its end.
fn nothing_holds_a_secret(agent: &mut Agent, watch: &Watch) -> Result<()> {
    let mut shown = vec![agent.metrics()?];
    for listing in ["status", "graphs", "forecasts", "profile"] {
        shown.push(agent.weft(&[listing, "-o", "json"])?);
    }
    agent.terminate()?;
    shown.extend(watch.lines().iter().map(ToString::to_string));
    assert!(shown.iter().all(|text| !text.contains("5ecret")), "{shown:#?}");
    let (mut files, mut folders) = (vec![agent.place().log()], vec![agent.state()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 1, "the state is there");
    for file in files {
        let bytes = std::fs::read(&file)?;
        assert!(!bytes.is_empty() && !bytes.windows(6).any(|six| six == b"5ecret"), "{}", file.display());
    }
    Ok(())
}
