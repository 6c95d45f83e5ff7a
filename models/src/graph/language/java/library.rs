//! What Java's own classes and well-known libraries do. In: paths. Out: models and effects. What stands in no table here is
//! an ordinary library function.

use super::super::effects::EffectTable;
use super::{EffectKind, Model};

/// Classes of `java.lang` that are there without an import.
const BUILTINS: &[&str] = &[
    "Appendable",
    "ArithmeticException",
    "ArrayIndexOutOfBoundsException",
    "AssertionError",
    "AutoCloseable",
    "Boolean",
    "Byte",
    "CharSequence",
    "Character",
    "Class",
    "ClassCastException",
    "ClassLoader",
    "ClassNotFoundException",
    "Cloneable",
    "Comparable",
    "Double",
    "Enum",
    "Error",
    "Exception",
    "Float",
    "IllegalArgumentException",
    "IllegalStateException",
    "IndexOutOfBoundsException",
    "Integer",
    "InterruptedException",
    "Iterable",
    "Long",
    "Math",
    "NullPointerException",
    "Number",
    "NumberFormatException",
    "Object",
    "Process",
    "ProcessBuilder",
    "ProcessHandle",
    "Record",
    "Runnable",
    "Runtime",
    "RuntimeException",
    "SecurityException",
    "Short",
    "StackOverflowError",
    "StrictMath",
    "String",
    "StringBuffer",
    "StringBuilder",
    "System",
    "Thread",
    "ThreadLocal",
    "Throwable",
    "UnsupportedOperationException",
    "Void",
];

/// Whether the name is there without being declared or imported.
pub(super) fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search(&name).is_ok()
}

/// What calling a function does to values.
pub(super) fn model(path: &str) -> Model {
    match path {
        "java.util.List.of"
        | "java.util.Set.of"
        | "java.util.Arrays.asList"
        | "java.util.stream.Stream.of" => Model::ListOf,
        "java.util.Arrays.stream" | "java.util.Arrays.copyOf" | "java.util.List.copyOf" => Model::Elements,
        "java.util.Objects.requireNonNull" | "java.util.Optional.of" | "java.util.Optional.ofNullable" => {
            Model::Same
        }
        "java.util.Collections.unmodifiableList" | "java.util.Collections.synchronizedList" => Model::Same,
        _ => path.rsplit_once('.').map_or(Model::Unknown, |(ty, method)| method_model(ty, method)),
    }
}

fn method_model(ty: &str, method: &str) -> Model {
    match (ty, method) {
        ("java.lang.String", "length" | "indexOf" | "lastIndexOf" | "compareTo" | "hashCode" | "charAt") => {
            Model::Number
        }
        ("java.lang.String", "split" | "toCharArray" | "getBytes" | "equals" | "isEmpty") => Model::Nothing,
        ("java.lang.String", _) => Model::Text,
        ("java.lang.Math", _) => Model::Number,
        ("java.util.List" | "java.util.Set" | "java.util.Map" | "java.util.stream.Stream", method) => {
            container_model(ty, method)
        }
        ("java.util.Map.Entry", "getKey" | "getValue") => Model::Take,
        _ => Model::Unknown,
    }
}

fn container_model(ty: &str, method: &str) -> Model {
    match (ty, method) {
        (_, "size" | "isEmpty" | "contains" | "containsKey" | "indexOf" | "clear" | "count" | "hashCode") => {
            Model::Nothing
        }
        ("java.util.Map", "put" | "putIfAbsent") => Model::GetOrSet,
        ("java.util.Map", "putAll") => Model::Update,
        ("java.util.Map", "get" | "getOrDefault" | "remove") => Model::Get,
        ("java.util.Map", "values") => Model::Values,
        ("java.util.Map", "keySet") => Model::Keys,
        ("java.util.Map", "entrySet") => Model::Items,
        (_, "add" | "addFirst" | "addLast" | "offer" | "offerLast" | "push" | "set") => Model::Add,
        (_, "addAll") => Model::AddAll,
        (
            _,
            "get" | "getFirst" | "getLast" | "remove" | "removeFirst" | "removeLast" | "poll" | "pollFirst"
            | "pollLast" | "pop" | "peek" | "peekFirst" | "peekLast" | "element" | "next" | "findFirst"
            | "findAny" | "take",
        ) => Model::Take,
        (
            _,
            "stream" | "parallelStream" | "iterator" | "subList" | "toList" | "collect" | "distinct"
            | "limit" | "skip" | "toArray",
        ) => Model::Copy,
        (_, "map" | "flatMap" | "mapToInt" | "mapToLong" | "mapToDouble" | "mapToObj") => Model::MapMethod,
        (
            _,
            "filter" | "forEach" | "sorted" | "sort" | "anyMatch" | "allMatch" | "noneMatch" | "removeIf"
            | "takeWhile" | "dropWhile" | "forEachOrdered",
        ) => Model::FilterMethod,
        (_, "max" | "min") => Model::FindMethod,
        _ => Model::Unknown,
    }
}

use EffectKind::{Database, File, Http, Network, Process};

/// What libraries do outside the program.
pub(super) const EFFECTS: EffectTable = &[
    ("java.net.http", Some(Http)),
    ("java.net.http.HttpRequest", None),
    ("java.net.http.HttpResponse", None),
    ("java.net.HttpURLConnection", Some(Http)),
    ("javax.net.ssl.HttpsURLConnection", Some(Http)),
    ("java.net.URL.openConnection", Some(Http)),
    ("java.net.URL.openStream", Some(Http)),
    ("org.apache.http", Some(Http)),
    ("org.apache.hc.client5", Some(Http)),
    ("okhttp3", Some(Http)),
    ("okhttp3.Request", None),
    ("retrofit2", Some(Http)),
    ("feign", Some(Http)),
    ("org.springframework.cloud.openfeign", Some(Http)),
    ("org.springframework.web.client", Some(Http)),
    ("org.springframework.web.reactive.function.client", Some(Http)),
    ("jakarta.ws.rs.client", Some(Http)),
    ("javax.ws.rs.client", Some(Http)),
    ("kong.unirest", Some(Http)),
    ("java.net.Socket", Some(Network)),
    ("java.net.ServerSocket", Some(Network)),
    ("java.net.DatagramSocket", Some(Network)),
    ("java.net.InetAddress", Some(Network)),
    ("java.nio.channels.SocketChannel", Some(Network)),
    ("java.nio.channels.ServerSocketChannel", Some(Network)),
    ("javax.mail", Some(Network)),
    ("jakarta.mail", Some(Network)),
    ("javax.jms", Some(Network)),
    ("jakarta.jms", Some(Network)),
    ("io.grpc", Some(Network)),
    ("io.netty", Some(Network)),
    ("io.nats", Some(Network)),
    ("com.rabbitmq.client", Some(Network)),
    ("org.apache.kafka.clients", Some(Network)),
    ("org.springframework.kafka.core", Some(Network)),
    ("org.springframework.amqp", Some(Network)),
    ("org.springframework.jms", Some(Network)),
    ("org.springframework.mail", Some(Network)),
    ("org.eclipse.paho", Some(Network)),
    ("software.amazon.awssdk.services.sqs", Some(Network)),
    ("software.amazon.awssdk.services.sns", Some(Network)),
    ("java.sql", Some(Database)),
    ("java.sql.Timestamp", None),
    ("java.sql.Date", None),
    ("java.sql.SQLException", None),
    ("javax.sql", Some(Database)),
    ("javax.persistence", Some(Database)),
    ("jakarta.persistence", Some(Database)),
    ("org.hibernate", Some(Database)),
    ("org.jooq", Some(Database)),
    ("org.jdbi", Some(Database)),
    ("com.zaxxer.hikari", Some(Database)),
    ("org.apache.ibatis", Some(Database)),
    ("org.springframework.jdbc", Some(Database)),
    ("org.springframework.data", Some(Database)),
    ("org.springframework.data.domain", None),
    ("org.springframework.r2dbc", Some(Database)),
    ("io.r2dbc", Some(Database)),
    ("redis.clients.jedis", Some(Database)),
    ("io.lettuce", Some(Database)),
    ("org.redisson", Some(Database)),
    ("net.spy.memcached", Some(Database)),
    ("com.mongodb", Some(Database)),
    ("org.bson", None),
    ("com.datastax", Some(Database)),
    ("org.elasticsearch.client", Some(Database)),
    ("co.elastic.clients", Some(Database)),
    ("com.amazonaws.services.s3", Some(Database)),
    ("com.amazonaws.services.dynamodbv2", Some(Database)),
    ("software.amazon.awssdk.services.s3", Some(Database)),
    ("software.amazon.awssdk.services.dynamodb", Some(Database)),
    ("com.google.cloud.storage", Some(Database)),
    ("com.google.cloud.firestore", Some(Database)),
    ("io.minio", Some(Database)),
    ("java.nio.file.Files", Some(File)),
    ("java.nio.file.FileSystem", Some(File)),
    ("java.nio.channels.FileChannel", Some(File)),
    ("java.io.File.createNewFile", Some(File)),
    ("java.io.File.createTempFile", Some(File)),
    ("java.io.File.delete", Some(File)),
    ("java.io.File.exists", Some(File)),
    ("java.io.File.isDirectory", Some(File)),
    ("java.io.File.length", Some(File)),
    ("java.io.File.list", Some(File)),
    ("java.io.File.listFiles", Some(File)),
    ("java.io.File.mkdir", Some(File)),
    ("java.io.File.mkdirs", Some(File)),
    ("java.io.File.renameTo", Some(File)),
    ("java.io.FileInputStream", Some(File)),
    ("java.io.FileOutputStream", Some(File)),
    ("java.io.FileReader", Some(File)),
    ("java.io.FileWriter", Some(File)),
    ("java.io.RandomAccessFile", Some(File)),
    ("java.util.zip.ZipFile", Some(File)),
    ("java.util.jar.JarFile", Some(File)),
    ("org.apache.commons.io.FileUtils", Some(File)),
    ("com.google.common.io.Files", Some(File)),
    ("java.lang.ProcessBuilder", Some(Process)),
    ("java.lang.Process", Some(Process)),
    ("java.lang.ProcessHandle", Some(Process)),
    ("java.lang.Runtime.exec", Some(Process)),
    ("java.lang.Runtime.getRuntime.exec", Some(Process)),
    ("java.lang.System.exit", Some(Process)),
    ("org.apache.commons.exec", Some(Process)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!(BUILTINS.is_sorted());
        assert!(is_builtin("String") && is_builtin("System") && !is_builtin("List"));
    }
}
