//! From uploaded code to a container that answers, and from bad uploads to clear words and nothing else.
#[path = "intake/bench.rs"]
mod bench;
#[path = "intake/endpoint.rs"]
mod endpoint;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench::Bench;
use weft::runtime::containerd::Imported;

const IMAGE_CODE: &str = "
import io, json, os
import numpy
from PIL import Image

def handler(event):
    width = int(event['query']['width'])
    pixels = numpy.full((10, 20, 3), 200, dtype=numpy.uint8)
    small = Image.fromarray(pixels).resize((width, 5))
    return {'size': small.size, 'mean': float(numpy.asarray(small).mean()), 'path': event['path']}
";

#[test]
fn a_python_function_with_numpy_and_pillow_answers_and_is_made_from_what_is_there_the_second_time()
-> Result<()> {
    let bench = Bench::new("python")?;
    let files = [("app.py", IMAGE_CODE), ("requirements.txt", "numpy\npillow\n")];
    let upload = bench.zip("thumbnails.zip", &files)?;
    let built = bench.build(&upload)?;
    assert_eq!((built.project.name.as_str(), built.imported), ("thumbnails", Imported::New));
    assert!(built.image.as_str().starts_with("weft/thumbnails:0-"), "{}", built.image);
    let running = bench.run(&built)?;
    let reply = running.get("/resize?width=7")?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.body, r#"{"size": [7, 5], "mean": 200.0, "path": "/resize"}"#);
    running.stop()?;
    drop(built);
    let begun = Instant::now();
    let again = bench.build(&upload)?;
    assert_eq!(again.imported, Imported::Replaced);
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
    drop(again);
    bench.leaves_only(1)
}

#[test]
fn a_node_function_with_a_library_answers() -> Result<()> {
    let bench = Bench::new("node")?;
    let code = "const ms = require('ms');\nexports.handler = async (event) => ({ long: ms(Number(event.query.ms)) });\n";
    let package = r#"{ "name": "clock", "dependencies": { "ms": "2.1.3" } }"#;
    let upload = bench.folder("clock", &[("index.js", code), ("package.json", package)])?;
    let built = bench.build(&upload)?;
    let running = bench.run(&built)?;
    let reply = running.get("/?ms=60000")?;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"long":"1m"}"#));
    running.stop()
}

#[test]
fn a_program_that_listens_on_its_port_answers() -> Result<()> {
    let bench = Bench::new("program")?;
    let upload = bench.copy(&weft_tests::image::segment_binary(&bench::cache())?, "Fixture Server")?;
    let built = bench.build(&upload)?;
    assert_eq!(built.project.name, "fixture-server");
    let running = bench.run(&built)?;
    assert_eq!(running.get("/")?.status, 200);
    running.stop()
}

#[test]
fn a_wsgi_application_is_served() -> Result<()> {
    let bench = Bench::new("wsgi")?;
    let code = "
def app(environ, start_response):
    start_response('201 Created', [('Content-Type', 'text/plain'), ('X-Path', environ['PATH_INFO'])])
    return [environ['QUERY_STRING'].encode()]
";
    let built = bench.build(&bench.folder("site", &[("app.py", code)])?)?;
    let running = bench.run(&built)?;
    let reply = running.get("/a%20b?c=d")?;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("x-path")), (201, "c=d", Some("/a b")));
    running.stop()
}

const PROBE: &str = "
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)

def tried(work):
    try:
        work()
        return 'done'
    except Exception as error:
        return type(error).__name__

def called(number, *arguments):
    return 'done' if libc.syscall(number, *arguments) >= 0 else os.strerror(ctypes.get_errno())

def fill():
    with open('/tmp/full', 'wb') as file:
        for _ in range(100):
            file.write(bytes(1 << 20))

def handler(event):
    status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
    return {
        'root': tried(lambda: open('/written', 'w')),
        'code': tried(lambda: open('/app/app.py', 'a')),
        'tmp': tried(lambda: open('/tmp/small', 'w').close()),
        'fill': tried(fill),
        'uid': os.getuid(),
        'capabilities': [status[name].strip() for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb')],
        'privileges': status['NoNewPrivs'].strip(),
        'seccomp': status['Seccomp'].strip(),
        'users': open('/proc/self/uid_map').read().split()[0:2],
        'unshare': called(272, 0x10000000),
        'keys': called(250, 0, 0, 0, 0, 0),
        'packets': tried(lambda: socket.socket(17, socket.SOCK_RAW)),
        'setuid': tried(lambda: os.setuid(0)),
    }
";

#[test]
fn uploaded_code_can_write_nothing_but_a_bounded_tmp_and_has_no_rights() -> Result<()> {
    let bench = Bench::new("hardened")?;
    let built = bench.build(&bench.folder("probe", &[("app.py", PROBE)])?)?;
    let running = bench.run(&built)?;
    let reply = running.get("/")?;
    assert_eq!(reply.status, 200, "{}\n{}", reply.body, running.log());
    let seen: serde_json::Value = serde_json::from_str(&reply.body)?;
    for (what, expected) in [
        ("root", "OSError"),
        ("code", "PermissionError"),
        ("tmp", "done"),
        ("fill", "OSError"),
        ("unshare", "Operation not permitted"),
        ("keys", "Operation not permitted"),
        ("packets", "PermissionError"),
        ("setuid", "PermissionError"),
        ("privileges", "1"),
        ("seccomp", "2"),
    ] {
        assert_eq!(seen[what], expected, "{what}: {seen}");
    }
    assert_eq!(seen["uid"], 65534);
    for set in seen["capabilities"].as_array().context("capabilities")? {
        assert_eq!(set, "0000000000000000");
    }
    assert_eq!(seen["users"][0], "0");
    let outside: u64 = seen["users"][1].as_str().context("users")?.parse()?;
    assert!(outside >= 1 << 30, "root inside is {outside} outside");
    running.stop()
}

/// The files of an upload, and what its refusal says.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn what_cannot_be_installed_or_started_is_told_and_leaves_nothing() -> Result<()> {
    let bench = Bench::new("bad")?;
    let brackets = format!("x = {}{}\ndef handler(event): pass\n", "(".repeat(10_000), ")".repeat(10_000));
    let line = format!("x = '{}'\nraise RuntimeError('after a long line')\n", "y".repeat(1 << 20));
    let manifest = |more: &str| format!("start_timeout = \"3s\"\n{more}");
    let short = manifest("");
    let small = manifest("limits = { memory = \"32MiB\" }");
    let cases: &[Case<'_>] = &[
        (&[("app.py", "def handler(event:\n")], &["ended with 1", "SyntaxError", "app.py"]),
        (&[("app.py", "1/0\n")], &["ZeroDivisionError: division by zero"]),
        (&[("app.py", "x = 1\n")], &["app has no handler", "app, application, handler, main"]),
        (&[("app.py", "import nothing_like_that\n")], &["ModuleNotFoundError", "nothing_like_that"]),
        (
            &[("app.py", "while True: pass\n"), ("weft.toml", &short)],
            &["did not listen on port 8080 within 3s"],
        ),
        (&[("app.py", &brackets)], &["ended with 1", "app cannot be imported"]),
        (&[("app.py", &line)], &["after a long line"]),
        (&[("app.py", "\u{1}\u{2}junk\u{fffd}")], &["cannot be imported", "SyntaxError"]),
        (
            &[("app.py", "x = bytes(200 << 20)\nx = bytearray(x)\n"), ("weft.toml", &small)],
            &["needs more than 33554432 bytes"],
        ),
        (&[("index.js", "throw new Error('broken')\n")], &["ended with 1", "Error: broken"]),
        (&[("index.js", "exports.x = 1\n")], &["index.js exports no function"]),
        (&[("main.py", ""), ("weft.toml", "handler = \"main:nope\"")], &["main has no handler `nope`"]),
    ];
    for (files, parts) in cases {
        let told = bench.refused(&bench.folder("bad", files)?)?;
        for part in *parts {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        bench.leaves_only(0)?;
    }
    Ok(())
}

#[test]
fn a_library_that_does_not_exist_and_one_that_asks_the_node_are_told_and_leave_nothing() -> Result<()> {
    let bench = Bench::new("libraries")?;
    let absent = [("app.py", ""), ("requirements.txt", "weft-there-is-no-such-library==9\n")];
    let told = bench.refused(&bench.folder("absent", &absent)?)?;
    assert!(told.contains("pip ended with 1") && told.contains("weft-there-is-no-such-library"), "{told}");
    bench.leaves_only(0)?;
    let asking = [("app.py", ""), ("requirements.txt", "https://127.0.0.1/x-1-py3-none-any.whl\n")];
    let told = bench.refused(&bench.folder("asking", &asking)?)?;
    assert!(told.contains("It asked for 127.0.0.1:443"), "{told}");
    bench.leaves_only(0)?;
    let package = r#"{ "dependencies": { "weft-there-is-no-such-library": "9" } }"#;
    let told = bench.refused(&bench.folder("absent", &[("index.js", ""), ("package.json", package)])?)?;
    assert!(told.contains("npm ended with") && told.contains("weft-there-is-no-such-library"), "{told}");
    bench.leaves_only(0)
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() -> Result<()> {
    let bench = Bench::with_room("full", 1 << 20)?;
    let blob = "x".repeat(3 << 20);
    let told = bench.refused(&bench.folder("full", &[("app.py", ""), ("blob", &blob)])?)?;
    assert!(told.contains("No space left on device") && told.contains("[agent] state"), "{told}");
    bench.leaves_only(0)
}

#[test]
fn a_refused_version_leaves_the_former_one_as_it_was() -> Result<()> {
    let bench = Bench::new("former")?;
    let good = "def handler(event): return 'one'\n";
    let built = bench.build(&bench.folder("cart", &[("app.py", good)])?)?;
    let running = bench.run(&built)?;
    drop(built);
    bench.refused(&bench.folder("cart", &[("app.py", "1/0\n")])?)?;
    assert_eq!(running.get("/")?.body, "one");
    running.stop()?;
    bench.leaves_only(1)
}
