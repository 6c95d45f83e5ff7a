//! The shop's small services, one static program: front, price and stock.
//!
//! In: the service's name as argument, the items from `/items.csv`. Out: HTTP/1.1 answers on `PORT`, 8080.
//! Refuses heads over 64 KiB and bodies without a length.
//!
//! | service | request | answer |
//! | --- | --- | --- |
//! | front | `GET /`, `/deals`, `/basket`, … | a page that links to what it names |
//! | price | `GET /prices?items=7,12` | `{"7":2790,"12":2190}`, in cents |
//! | stock | `GET /stock?items=7,12` | `{"7":58,"12":9}` |
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs, thread};

const HEAD_BYTES_MAX: u64 = 64 << 10;

/// Which of the services this is.
#[derive(Clone, Copy)]
enum Service {
    Front,
    Price,
    Stock,
}

/// What is known of an item.
struct Item {
    title: String,
    cents: u32,
    left: u32,
}

type Shelf = BTreeMap<u32, Item>;

fn main() -> ExitCode {
    let service = match env::args().nth(1).as_deref() {
        Some("front") => Service::Front,
        Some("price") => Service::Price,
        Some("stock") => Service::Stock,
        other => {
            eprintln!("{other:?} is no service; say front, price or stock");
            return ExitCode::from(2);
        }
    };
    match serve(service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(service: Service) -> io::Result<()> {
    let shelf = Arc::new(shelf(&fs::read_to_string("/items.csv")?));
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080);
    for connection in TcpListener::bind(("0.0.0.0", port))?.incoming() {
        let (shelf, connection) = (Arc::clone(&shelf), connection?);
        // Without a thread the connection is closed: the caller sees it.
        let _ = thread::Builder::new().stack_size(128 << 10).spawn(move || converse(service, &shelf, connection));
    }
    Ok(())
}

fn shelf(csv: &str) -> Shelf {
    let item = |line: &str| {
        let words: Vec<_> = line.split(',').collect();
        let [id, title, _, cents, left] = words[..] else { return None };
        let item = Item { title: title.to_owned(), cents: cents.parse().ok()?, left: left.parse().ok()? };
        Some((id.parse().ok()?, item))
    };
    csv.lines().skip(1).filter_map(item).collect()
}

/// Answers one request; the connection ends with it.
fn converse(service: Service, shelf: &Shelf, connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    let target = target(&mut reader)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (status, kind, body) = match (service, path) {
        (Service::Front, path) => ("200 OK", "text/html", page(path, shelf)),
        (Service::Price, "/prices") => ("200 OK", "application/json", numbers(query, shelf, |item| item.cents)),
        (Service::Stock, "/stock") => ("200 OK", "application/json", numbers(query, shelf, |item| item.left)),
        _ => ("404 Not Found", "text/plain", "no such page\n".to_owned()),
    };
    let length = body.len();
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    reader.get_mut().write_all(reply.as_bytes())
}

/// What is asked for. The rest of the head and the body are skipped.
fn target(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let target = line.split(' ').nth(1).ok_or(io::ErrorKind::InvalidData)?.to_owned();
    let mut body_bytes = 0;
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body_bytes = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            Some(_) => {}
            None => break,
        }
    }
    io::copy(&mut reader.take(body_bytes), &mut io::sink())?;
    Ok(target)
}

fn page(path: &str, shelf: &Shelf) -> String {
    let links = shelf.iter().take(8).map(|(id, item)| format!("<li><a href=\"/items/{id}\">{}</a>", item.title));
    let name = path.trim_start_matches('/');
    let heading = if name.is_empty() { "Welcome" } else { name };
    format!("<h1>{}</h1><ul>{}</ul>\n", escaped(heading), links.collect::<String>())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn numbers(query: &str, shelf: &Shelf, of: impl Fn(&Item) -> u32) -> String {
    let items = query.split('&').find_map(|pair| pair.strip_prefix("items=")).unwrap_or_default();
    let wanted = items.split(',').filter_map(|id| Some((id.parse().ok()?, shelf.get(&id.parse().ok()?)?)));
    let pairs = wanted.map(|(id, item): (u32, &Item)| format!("\"{id}\":{}", of(item)));
    format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
}
