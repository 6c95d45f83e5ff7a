//! Request heads. In: the first bytes of a request as they crossed the socket. Out: a [`Head`] without any secret:
//! authentication data is hashed here, at first sight, and goes no further. Refuses what is not HTTP/1.x.

use super::identity::NodeKey;

/// Headers of one request; more is refused as no honest client sends them.
const HEADERS_MAX: usize = 96;
/// Query parameter names that are kept of one request, and bytes of each.
const PARAMETERS_MAX: usize = 32;
const PARAMETER_LEN_MAX: usize = 64;
/// Bytes of a path that are kept.
const PATH_LEN_MAX: usize = 512;

/// What weft keeps of a request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Method as written.
    pub method: String,
    /// Path without the query, at most 512 bytes.
    pub path: String,
    /// Names of the query's parameters in their order; their values are not kept.
    pub parameters: Vec<String>,
    /// Keyed hash of Authorization, else of Cookie.
    pub authentication: Option<u64>,
}

/// How a head ended and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The head is whole.
    Whole {
        head: Head,
        /// Bytes of the head.
        head_len: usize,
        body: Body,
    },
    /// More bytes are needed.
    Partial,
    /// These bytes are no request.
    NotHttp,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes, then the next request.
    Sized(u64),
    /// Chunked, upgraded, or more than a sequence number can tell: its end is not known.
    Unknown,
}

/// Reads a head from the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8], key: &NodeKey) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(head_len)) => {
            Parsed::Whole { head: head(&request, key), head_len, body: body(request.headers) }
        }
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(_) => Parsed::NotHttp,
    }
}

/// What can be told of a head that is too long to be seen whole; `None` if not even its first line is there.
pub(super) fn parse_cut(bytes: &[u8], key: &NodeKey) -> Option<Head> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(bytes);
    (status.is_ok() && request.version.is_some()).then(|| head(&request, key))
}

fn head(request: &httparse::Request<'_, '_>, key: &NodeKey) -> Head {
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let named = |name: &str| {
        let mut found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        found.next().map(|header| header.value)
    };
    Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: cut(path, PATH_LEN_MAX).to_owned(),
        parameters: parameters(query),
        authentication: named("authorization").or_else(|| named("cookie")).map(|secret| key.hash(secret)),
    }
}

fn parameters(query: &str) -> Vec<String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX);
    pairs.map(|pair| cut(pair.split('=').next().unwrap_or_default(), PARAMETER_LEN_MAX).to_owned()).collect()
}

fn cut(text: &str, len_max: usize) -> &str {
    let mut end = text.len().min(len_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn body(headers: &[httparse::Header<'_>]) -> Body {
    let mut length = 0;
    for header in headers.iter() {
        if header.name.eq_ignore_ascii_case("transfer-encoding")
            || header.name.eq_ignore_ascii_case("upgrade")
        {
            return Body::Unknown;
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).unwrap_or_default().trim();
            match text.parse::<u64>() {
                Ok(number) if number < u64::from(u32::MAX / 2) => length = number,
                _ => return Body::Unknown,
            }
        }
    }
    Body::Sized(length)
}

/// The path with what looks like an identifier (digits, long hexadecimal, a UUID) replaced by `*`.
pub fn pattern(path: &str) -> String {
    let variable = |part: &str| {
        let hexadecimal = part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        !part.is_empty() && (part.bytes().all(|b| b.is_ascii_digit()) || hexadecimal)
    };
    path.split('/').map(|part| if variable(part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &str) -> (Head, usize, Body) {
        match parse(bytes.as_bytes(), &NodeKey::from_bytes([7; 16])) {
            Parsed::Whole { head, head_len, body } => (head, head_len, body),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_head_keeps_names_of_parameters_and_no_value() {
        let text = "GET /cart/7?id=secret&x=1&&flag HTTP/1.1\r\nHost: shop\r\n\r\n";
        let (head, head_len, body) = whole(text);
        assert_eq!((head.method.as_str(), head.path.as_str()), ("GET", "/cart/7"));
        assert_eq!(head.parameters, ["id", "x", "flag"]);
        assert_eq!((head_len, body), (text.len(), Body::Sized(0)));
        assert!(!format!("{head:?}").contains("secret"));
    }

    #[test]
    fn authentication_is_a_hash_and_the_same_for_the_same_user() {
        let ask = |line: &str| whole(&format!("GET / HTTP/1.1\r\n{line}\r\n\r\n")).0.authentication;
        assert_eq!(ask("Authorization: Bearer a"), ask("AUTHORIZATION: Bearer a"));
        assert_ne!(ask("Authorization: Bearer a"), ask("Authorization: Bearer b"));
        assert_ne!(ask("Cookie: s=1"), None);
        assert_eq!(ask("Accept: */*"), None);
        assert_eq!(ask("Cookie: s=1\r\nAuthorization: Bearer a"), ask("Authorization: Bearer a"));
    }

    #[test]
    fn the_body_decides_where_the_next_request_begins() {
        let body = |line: &str| whole(&format!("POST / HTTP/1.1\r\n{line}\r\n\r\n")).2;
        assert_eq!(body("Content-Length: 12"), Body::Sized(12));
        assert_eq!(body("Transfer-Encoding: chunked"), Body::Unknown);
        assert_eq!(body("Content-Length: 99999999999999999999"), Body::Unknown);
        assert_eq!(body("Upgrade: websocket"), Body::Unknown);
    }

    #[test]
    fn bytes_that_are_not_http_are_told_apart_from_a_cut_head() {
        let key = NodeKey::from_bytes([7; 16]);
        assert_eq!(parse(b"GET /a HT", &key), Parsed::Partial);
        assert_eq!(parse(b"\x16\x03\x01\x02\x00", &key), Parsed::NotHttp);
        assert_eq!(parse(b"GET / SMTP\r\n\r\n", &key), Parsed::NotHttp);
    }

    #[test]
    fn identifiers_in_a_path_become_a_star() {
        assert_eq!(pattern("/cart/7/items/0f8fad5b-d9cb-469f-a165-70867728950e"), "/cart/*/items/*");
        assert_eq!(pattern("/feed/face/cafebabe"), "/feed/face/*");
        assert_eq!(pattern("/"), "/");
    }
}
