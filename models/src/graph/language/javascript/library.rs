//! What JavaScript's own objects, Node.js and well-known packages do. In: paths. Out: models and effects. What stands in
//! no table here is an ordinary library function.

use super::super::effects::EffectTable;
use super::{EffectKind, Model};

const BUILTINS: &[&str] = &[
    "Array",
    "ArrayBuffer",
    "BigInt",
    "Boolean",
    "Date",
    "Error",
    "Function",
    "Intl",
    "Iterator",
    "JSON",
    "Map",
    "Math",
    "Number",
    "Object",
    "Promise",
    "Proxy",
    "RangeError",
    "Reflect",
    "RegExp",
    "Set",
    "String",
    "Symbol",
    "SyntaxError",
    "TypeError",
    "Uint8Array",
    "WeakMap",
    "WeakSet",
    "clearInterval",
    "clearTimeout",
    "console",
    "decodeURIComponent",
    "encodeURIComponent",
    "isNaN",
    "parseFloat",
    "parseInt",
    "queueMicrotask",
    "setImmediate",
    "setInterval",
    "setTimeout",
    "structuredClone",
];

/// Whether a path is of the language's own objects.
pub(super) fn is_builtin(path: &str) -> bool {
    let root = path.split('.').next().unwrap_or(path);
    BUILTINS.binary_search(&root).is_ok()
}

/// What calling a function does to values.
pub(super) fn model(path: &str) -> Model {
    match path {
        "Object.assign" => Model::Assign,
        "Object.create" => Model::CreateObject,
        "Object.setPrototypeOf" => Model::SetPrototype,
        "util.inherits" => Model::Inherit,
        "Object.values" | "Array.from" | "Array.of" => Model::Elements,
        "Object.entries" => Model::Enumerate,
        "Object.freeze" | "Object.seal" | "structuredClone" | "util.promisify" => Model::Same,
        "Promise.resolve" => Model::Resolve,
        "Promise.all" | "Promise.allSettled" | "Promise.race" | "Promise.any" => Model::ResolveAll,
        "Promise" => Model::NewPromise,
        "Promise.then" | "Promise.catch" | "Promise.finally" => Model::Then,
        "Promise.settle" => Model::Add,
        "Function.call" => Model::CallMethod,
        "Function.apply" => Model::ApplyMethod,
        "Function.bind" => Model::BindMethod,
        "Map" => Model::NewMap,
        "Set" | "Array" => Model::Elements,
        "JSON.stringify" | "String" | "encodeURIComponent" | "decodeURIComponent" => Model::Text,
        "Number" | "parseInt" | "parseFloat" | "Date.now" => Model::Number,
        _ => path.split_once('.').map_or(Model::Unknown, |(ty, method)| method_model(ty, method)),
    }
}

fn method_model(ty: &str, method: &str) -> Model {
    match (ty, method) {
        ("console" | "Math", _) => Model::Nothing,
        ("Array" | "Set", "map" | "flatMap") => Model::MapMethod,
        ("Array" | "Set" | "Map", "forEach" | "filter" | "some" | "every" | "sort" | "findIndex") => {
            Model::FilterMethod
        }
        ("Array", "find" | "findLast") => Model::FindMethod,
        ("Array", "reduce" | "reduceRight") => Model::ReduceMethod,
        ("Array" | "Set", "push" | "unshift" | "add" | "fill") => Model::Add,
        ("Array", "pop" | "shift" | "at") => Model::Take,
        ("Array", "slice" | "concat" | "reverse" | "flat" | "splice") => Model::Copy,
        ("Map", "get") => Model::Get,
        ("Map", "set") => Model::GetOrSet,
        ("Map" | "Array" | "Set", "values") => Model::Values,
        ("Map" | "Array" | "Set", "keys") => Model::Keys,
        ("Map" | "Array" | "Set", "entries") => Model::Items,
        ("Array" | "String", "join" | "toString" | "trim" | "toLowerCase" | "toUpperCase" | "replace") => {
            Model::Text
        }
        ("Array" | "String", "indexOf" | "includes" | "lastIndexOf") => Model::Number,
        ("String", "slice" | "substring" | "padStart" | "padEnd" | "concat" | "repeat" | "trimEnd") => {
            Model::Text
        }
        ("String", "split" | "match") => Model::Nothing,
        _ => Model::Unknown,
    }
}

use EffectKind::{Database, File, Http, Network, Process};

/// What libraries do outside the program.
pub(super) const EFFECTS: EffectTable = &[
    ("fs", Some(File)),
    ("fs/promises", Some(File)),
    ("fs-extra", Some(File)),
    ("graceful-fs", Some(File)),
    ("glob", Some(File)),
    ("Deno.readFile", Some(File)),
    ("Deno.writeFile", Some(File)),
    ("Bun.file", Some(File)),
    ("localStorage", Some(File)),
    ("child_process", Some(Process)),
    ("cluster.fork", Some(Process)),
    ("worker_threads", Some(Process)),
    ("execa", Some(Process)),
    ("process.kill", Some(Process)),
    ("process.exit", Some(Process)),
    ("fetch", Some(Http)),
    ("XMLHttpRequest", Some(Http)),
    ("http.request", Some(Http)),
    ("http.get", Some(Http)),
    ("https.request", Some(Http)),
    ("https.get", Some(Http)),
    ("http2.connect", Some(Http)),
    ("axios", Some(Http)),
    ("node-fetch", Some(Http)),
    ("cross-fetch", Some(Http)),
    ("undici", Some(Http)),
    ("got", Some(Http)),
    ("request", Some(Http)),
    ("superagent", Some(Http)),
    ("ky", Some(Http)),
    ("net", Some(Network)),
    ("tls", Some(Network)),
    ("dgram", Some(Network)),
    ("dns", Some(Network)),
    ("ws", Some(Network)),
    ("socket.io-client", Some(Network)),
    ("amqplib", Some(Network)),
    ("kafkajs", Some(Network)),
    ("mqtt", Some(Network)),
    ("nodemailer", Some(Network)),
    ("@grpc/grpc-js", Some(Network)),
    ("pg", Some(Database)),
    ("mysql", Some(Database)),
    ("mysql2", Some(Database)),
    ("mongodb", Some(Database)),
    ("mongoose", Some(Database)),
    ("redis", Some(Database)),
    ("ioredis", Some(Database)),
    ("sequelize", Some(Database)),
    ("typeorm", Some(Database)),
    ("knex", Some(Database)),
    ("@prisma/client", Some(Database)),
    ("sqlite3", Some(Database)),
    ("better-sqlite3", Some(Database)),
    ("cassandra-driver", Some(Database)),
    ("@elastic/elasticsearch", Some(Database)),
    ("aws-sdk", Some(Database)),
    ("@aws-sdk/client-s3", Some(Database)),
    ("@aws-sdk/client-dynamodb", Some(Database)),
    ("@google-cloud/storage", Some(Database)),
    ("@google-cloud/firestore", Some(Database)),
    ("minio", Some(Database)),
    ("memcached", Some(Database)),
    ("level", Some(Database)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!(BUILTINS.is_sorted());
        assert!(is_builtin("Array.map") && is_builtin("setTimeout") && !is_builtin("fetch"));
    }
}
