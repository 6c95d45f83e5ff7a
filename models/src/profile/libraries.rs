//! What runtimes and well-known libraries weigh. In: the name of an import. Out: the memory that is resident once it is
//! loaded, and what the library is for. A library that is not listed is unknown, not weightless: callers count those.
//!
//! Measured by importing each into a bare interpreter that has the standard HTTP server loaded (CPython 3.11, Node 20,
//! x86-64, November 2026): the growth of the peak resident size, in MiB, with what the library brings along. Those marked `=`
//! were not measured and take the figure of a library that does the same work.

use serde::{Deserialize, Serialize};

use crate::graph::LanguageId;

/// What code runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// CPython.
    Python,
    /// Node.js.
    Node,
}

/// Resident in MiB where the runtime is not known.
pub(super) const UNKNOWN_MIB: f32 = 45.0;

impl Runtime {
    /// What runs a language; none of those that were not measured.
    pub fn of(language: LanguageId) -> Option<Self> {
        match language.family() {
            LanguageId::Python => Some(Self::Python),
            LanguageId::JavaScript | LanguageId::TypeScript | LanguageId::Tsx => Some(Self::Node),
            LanguageId::Go | LanguageId::Java | LanguageId::Rust => None,
        }
    }

    /// Resident in MiB with the standard HTTP server loaded.
    pub fn mib(self) -> f32 {
        match self {
            Self::Python => 18.0,
            Self::Node => 42.0,
        }
    }

    /// As one says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Node => "Node.js",
        }
    }
}

/// What a library is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Arrays, tables, graphs.
    Numeric,
    /// Pictures, video, documents.
    Media,
    /// Models that are trained or asked.
    Learning,
    /// Clients of services and databases.
    Client,
    /// Servers and templates.
    Web,
    /// Anything else.
    Other,
}

/// A library that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// As it is imported.
    pub name: String,
    /// Resident once loaded.
    pub mib: f32,
    /// What it is for.
    pub kind: Kind,
}

impl Weight {
    /// Whether loading this one loads the other.
    pub(super) fn brings(&self, other: &Self) -> bool {
        let listed =
            |(whole, parts): &&(&str, &[&str])| *whole == self.name && parts.contains(&other.name.as_str());
        BRINGS.iter().any(|one| listed(&one))
    }
}

use Kind::{Client, Learning, Media, Numeric, Other, Web};

type Table = &'static [(&'static str, f32, Kind)];

const PYTHON: Table = &[
    ("numpy", 15.0, Numeric),
    ("scipy", 16.0, Numeric),
    ("scipy.stats", 84.0, Numeric),
    ("pandas", 52.0, Numeric),
    ("networkx", 16.0, Numeric),
    ("igraph", 16.0, Numeric), // = networkx
    ("matplotlib", 49.0, Media),
    ("sklearn", 130.0, Learning),
    ("joblib", 16.0, Numeric), // = scipy
    ("tensorflow", 646.0, Learning),
    ("keras", 646.0, Learning),        // = tensorflow, on which it runs
    ("torch", 646.0, Learning),        // = tensorflow
    ("torchvision", 646.0, Learning),  // = tensorflow
    ("transformers", 646.0, Learning), // = tensorflow
    ("cv2", 31.0, Media),
    ("PIL", 4.0, Media),
    ("reportlab", 8.0, Media),
    ("openpyxl", 29.0, Media),
    ("lxml", 6.0, Other),
    ("bs4", 11.0, Other),
    ("yaml", 1.0, Other),
    ("cryptography", 8.0, Other),
    ("requests", 9.0, Client),
    ("aiohttp", 16.0, Client),
    ("urllib.request", 1.0, Client),
    ("boto3", 16.0, Client),
    ("google.cloud.storage", 38.0, Client),
    ("pymongo", 12.0, Client),
    ("redis", 13.0, Client),
    ("psycopg2", 5.0, Client),
    ("sqlalchemy", 19.0, Client),
    ("sqlite3", 1.0, Other),
    ("flask", 12.0, Web),
    ("fastapi", 22.0, Web),
    ("jinja2", 5.0, Web),
    ("asyncio", 4.0, Other),
];

const NODE: Table = &[
    ("sharp", 17.0, Media),
    ("jimp", 15.0, Media),
    ("express", 13.0, Web),
    ("axios", 16.0, Client),
    ("node-fetch", 16.0, Client), // = axios
    ("lodash", 5.0, Other),
    ("moment", 1.0, Other),
    ("cheerio", 23.0, Other),
    ("@aws-sdk", 18.0, Client),
    ("aws-sdk", 18.0, Client), // = @aws-sdk
    ("pg", 12.0, Client),
    ("mongodb", 20.0, Client),
    ("mongoose", 20.0, Client), // = mongodb
    ("mysql2", 14.0, Client),
    ("mysql", 14.0, Client), // = mysql2
    ("ioredis", 17.0, Client),
    ("redis", 17.0, Client), // = ioredis
    ("nano", 16.0, Client),  // = axios
    ("minio", 18.0, Client), // = @aws-sdk
    ("better-sqlite3", 2.0, Other),
];

/// Libraries and those that come with them.
const BRINGS: &[(&str, &[&str])] = &[
    ("scipy", &["numpy"]),
    ("scipy.stats", &["scipy", "numpy"]),
    ("pandas", &["numpy"]),
    ("matplotlib", &["numpy", "PIL"]),
    ("sklearn", &["scipy", "numpy", "joblib"]),
    ("tensorflow", &["numpy", "keras"]),
    ("keras", &["numpy"]),
    ("torch", &["numpy"]),
    ("torchvision", &["torch", "numpy", "PIL"]),
    ("transformers", &["torch", "numpy", "keras", "tensorflow"]),
    ("cv2", &["numpy"]),
    ("aiohttp", &["asyncio"]),
    ("flask", &["jinja2"]),
    ("fastapi", &["asyncio"]),
];

/// Modules of the languages themselves, which weigh nothing worth telling.
const STANDARD: &[&str] = &[
    "abc",
    "argparse",
    "array",
    "ast",
    "assert",
    "async_hooks",
    "base64",
    "bisect",
    "buffer",
    "bz2",
    "child_process",
    "cmath",
    "codecs",
    "collections",
    "concurrent",
    "contextlib",
    "copy",
    "crypto",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "email",
    "enum",
    "errno",
    "events",
    "fractions",
    "fs",
    "fs/promises",
    "functools",
    "gc",
    "glob",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "http",
    "http2",
    "https",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "lzma",
    "math",
    "mimetypes",
    "multiprocessing",
    "net",
    "operator",
    "os",
    "path",
    "pathlib",
    "perf_hooks",
    "pickle",
    "platform",
    "process",
    "queue",
    "querystring",
    "random",
    "re",
    "readline",
    "resource",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "statistics",
    "stream",
    "string",
    "struct",
    "subprocess",
    "sys",
    "tarfile",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "timers",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "unittest",
    "url",
    "urllib",
    "util",
    "uuid",
    "v8",
    "vm",
    "warnings",
    "weakref",
    "worker_threads",
    "xml",
    "zipfile",
    "zlib",
];

/// What an import weighs: the longest entry that it is, or begins with. None for one that is not known.
pub(super) fn weigh(runtime: Runtime, import: &str) -> Option<Weight> {
    let import = import.strip_prefix("node:").unwrap_or(import);
    let table = match runtime {
        Runtime::Python => PYTHON,
        Runtime::Node => NODE,
    };
    let begins = |name: &str| {
        import.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    };
    let best = table.iter().filter(|(name, ..)| begins(name)).max_by_key(|(name, ..)| name.len());
    let best = best.map(|(name, mib, kind)| Weight { name: (*name).to_owned(), mib: *mib, kind: *kind });
    let standard = || STANDARD.iter().find(|name| begins(name));
    best.or_else(|| standard().map(|name| Weight { name: (*name).to_owned(), mib: 0.0, kind: Other }))
}

/// Whether a call takes a whole file or answer into memory.
pub(super) fn reads_whole(call: &str) -> bool {
    const WHOLE: [&str; 20] = [
        "builtins.open.read",
        "builtins.open.readlines",
        "urllib.request.urlopen.read",
        "pathlib.Path.read_text",
        "pathlib.Path.read_bytes",
        "json.load",
        "pickle.load",
        "pandas.read_csv",
        "pandas.read_json",
        "pandas.read_parquet",
        "numpy.load",
        "PIL.Image.open",
        "cv2.imread",
        "fs.readFileSync",
        "fs.readFile",
        "fs.promises.readFile",
        "fs/promises.readFile",
        "fetch.text",
        "fetch.json",
        "fetch.arrayBuffer",
    ];
    let call = call.strip_prefix("node:").unwrap_or(call);
    WHOLE.contains(&call)
}

/// Whether a call starts threads.
pub(super) fn starts_threads(call: &str) -> bool {
    const STARTS: [&str; 6] = [
        "threading.Thread",
        "concurrent.futures.ThreadPoolExecutor",
        "concurrent.futures.ProcessPoolExecutor",
        "multiprocessing.Pool",
        "multiprocessing.Process",
        "worker_threads.Worker",
    ];
    STARTS.contains(&call.strip_prefix("node:").unwrap_or(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_entry_an_import_begins_with_tells_its_weight() {
        let mib = |name: &str| weigh(Runtime::Python, name).map(|weight| weight.mib);
        assert_eq!(mib("scipy.stats.distributions"), Some(84.0));
        assert_eq!((mib("scipy.sparse"), mib("scipyx"), mib("json")), (Some(16.0), None, Some(0.0)));
    }
}
