//! What Rust's standard library and well-known crates do. In: paths. Out: models and effects. What stands in no table here
//! is an ordinary library function.

use super::super::effects::EffectTable;
use super::{EffectKind, Model};

/// The path of a name that is there without being declared or imported.
pub(super) fn prelude(name: &str) -> Option<&'static str> {
    Some(match name {
        "Vec" => "std.vec.Vec",
        "String" => "std.string.String",
        "Box" => "std.boxed.Box",
        "Option" => "std.option.Option",
        "Result" => "std.result.Result",
        "Default" => "std.default.Default",
        "Iterator" => "std.iter.Iterator",
        "From" => "std.convert.From",
        "Into" => "std.convert.Into",
        "Clone" => "std.clone.Clone",
        "Drop" => "std.ops.Drop",
        "drop" => "std.mem.drop",
        _ => return None,
    })
}

/// What calling a function does to values.
pub(super) fn model(path: &str) -> Model {
    match path {
        "std.mem.take" | "std.mem.replace" | "std.iter.once" | "std.iter.repeat" => Model::Same,
        "std.mem.drop" | "std.mem.swap" => Model::Nothing,
        _ => path.rsplit_once('.').map_or(Model::Unknown, |(ty, method)| method_model(ty, method)),
    }
}

fn method_model(ty: &str, method: &str) -> Model {
    match (ty, method) {
        ("std.string.String", "len" | "find" | "rfind") => Model::Number,
        ("std.string.String", "chars" | "bytes" | "split" | "lines" | "push" | "push_str" | "as_bytes") => {
            Model::Nothing
        }
        ("std.string.String", "is_empty" | "contains" | "starts_with" | "ends_with" | "parse" | "clear") => {
            Model::Nothing
        }
        ("std.string.String", _) => Model::Text,
        ("std.vec.Vec" | "std.collections.HashSet" | "std.collections.HashMap" | "std.iter.Iterator", _) => {
            container_model(ty, method)
        }
        _ => Model::Unknown,
    }
}

fn container_model(ty: &str, method: &str) -> Model {
    match (ty, method) {
        (_, "len" | "capacity" | "count") => Model::Number,
        (_, "is_empty" | "contains" | "contains_key" | "clear" | "reserve" | "truncate") => Model::Nothing,
        ("std.collections.HashMap", "insert") => Model::GetOrSet,
        ("std.collections.HashMap", "get" | "get_mut" | "remove" | "entry") => Model::Take,
        ("std.collections.HashMap", "values" | "values_mut" | "into_values") => Model::Values,
        ("std.collections.HashMap", "keys" | "into_keys") => Model::Keys,
        (_, "push" | "push_back" | "push_front" | "insert") => Model::Add,
        (_, "extend" | "append" | "extend_from_slice") => Model::AddAll,
        (
            _,
            "get" | "get_mut" | "first" | "last" | "first_mut" | "last_mut" | "pop" | "pop_front"
            | "pop_back" | "front" | "back" | "remove" | "swap_remove" | "next" | "next_back" | "nth"
            | "peek" | "min" | "max",
        ) => Model::Take,
        (
            _,
            "drain" | "take" | "skip" | "step_by" | "as_mut_slice" | "split_off" | "chain" | "chunks"
            | "windows",
        ) => Model::Copy,
        (_, "map" | "flat_map" | "filter_map" | "map_while" | "scan") => Model::MapMethod,
        (
            _,
            "filter"
            | "for_each"
            | "any"
            | "all"
            | "retain"
            | "sort_by"
            | "sort_by_key"
            | "sort_unstable_by"
            | "sort_unstable_by_key"
            | "take_while"
            | "skip_while"
            | "inspect"
            | "partition"
            | "position"
            | "dedup_by_key",
        ) => Model::FilterMethod,
        (_, "find" | "max_by_key" | "min_by_key" | "max_by" | "min_by" | "rfind") => Model::FindMethod,
        _ => Model::Unknown,
    }
}

use EffectKind::{Database, File, Http, Network, Process};

/// What libraries do outside the program.
pub(super) const EFFECTS: EffectTable = &[
    ("std.fs", Some(File)),
    ("tokio.fs", Some(File)),
    ("async_std.fs", Some(File)),
    ("async_fs", Some(File)),
    ("fs_err", Some(File)),
    ("tempfile", Some(File)),
    ("walkdir", Some(File)),
    ("glob", Some(File)),
    ("memmap2", Some(File)),
    ("std.process", Some(Process)),
    ("tokio.process", Some(Process)),
    ("async_process", Some(Process)),
    ("nix.unistd.fork", Some(Process)),
    ("nix.unistd.execv", Some(Process)),
    ("nix.sys.signal.kill", Some(Process)),
    ("reqwest", Some(Http)),
    ("reqwest.StatusCode", None),
    ("reqwest.Url", None),
    ("hyper.Client", Some(Http)),
    ("hyper.client", Some(Http)),
    ("hyper_util.client", Some(Http)),
    ("ureq", Some(Http)),
    ("isahc", Some(Http)),
    ("surf", Some(Http)),
    ("awc", Some(Http)),
    ("attohttpc", Some(Http)),
    ("minreq", Some(Http)),
    ("std.net", Some(Network)),
    ("std.net.IpAddr", None),
    ("std.net.Ipv4Addr", None),
    ("std.net.Ipv6Addr", None),
    ("std.net.SocketAddr", None),
    ("std.os.unix.net", Some(Network)),
    ("tokio.net", Some(Network)),
    ("async_std.net", Some(Network)),
    ("tonic", Some(Network)),
    ("tonic.Status", None),
    ("tonic.Request", None),
    ("tonic.Response", None),
    ("tonic.Code", None),
    ("tungstenite", Some(Network)),
    ("tokio_tungstenite", Some(Network)),
    ("lapin", Some(Network)),
    ("rdkafka", Some(Network)),
    ("kafka", Some(Network)),
    ("async_nats", Some(Network)),
    ("nats", Some(Network)),
    ("rumqttc", Some(Network)),
    ("lettre", Some(Network)),
    ("aws_sdk_sqs", Some(Network)),
    ("aws_sdk_sns", Some(Network)),
    ("sqlx", Some(Database)),
    ("diesel", Some(Database)),
    ("diesel_async", Some(Database)),
    ("sea_orm", Some(Database)),
    ("tokio_postgres", Some(Database)),
    ("postgres", Some(Database)),
    ("deadpool_postgres", Some(Database)),
    ("mysql", Some(Database)),
    ("mysql_async", Some(Database)),
    ("rusqlite", Some(Database)),
    ("redis", Some(Database)),
    ("fred", Some(Database)),
    ("deadpool_redis", Some(Database)),
    ("bb8_redis", Some(Database)),
    ("memcache", Some(Database)),
    ("mongodb", Some(Database)),
    ("scylla", Some(Database)),
    ("cdrs_tokio", Some(Database)),
    ("elasticsearch", Some(Database)),
    ("sled", Some(Database)),
    ("redb", Some(Database)),
    ("rocksdb", Some(Database)),
    ("aws_sdk_s3", Some(Database)),
    ("aws_sdk_dynamodb", Some(Database)),
    ("object_store", Some(Database)),
    ("s3", Some(Database)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_containers_have_models_and_others_have_none() {
        assert_eq!(model("std.vec.Vec.push"), Model::Add);
        assert_eq!(model("std.collections.HashMap.insert"), Model::GetOrSet);
        assert_eq!((model("std.fs.read"), prelude("Vec")), (Model::Unknown, Some("std.vec.Vec")));
    }
}
