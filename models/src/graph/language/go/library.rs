//! What Go's own functions, its standard packages and well-known modules do. In: paths. Out: models and effects. What
//! stands in no table here is an ordinary library function.

use super::super::effects::EffectTable;
use super::{EffectKind, Model};

const BUILTINS: &[&str] = &[
    "append", "byte", "cap", "clear", "close", "complex", "copy", "delete", "float32", "float64", "imag",
    "int", "int32", "int64", "len", "make", "max", "min", "new", "panic", "print", "println", "real",
    "recover", "rune", "string", "uint", "uint32", "uint64", "uint8",
];

/// Whether the name is there without being declared or imported.
pub(super) fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search(&name).is_ok()
}

/// What calling a function does to values.
pub(super) fn model(path: &str) -> Model {
    match path {
        "builtin.append" => Model::Append,
        "builtin.len" | "builtin.cap" | "builtin.copy" | "builtin.int" | "builtin.int64"
        | "builtin.float64" => Model::Number,
        "builtin.string" | "fmt.Sprintf" | "fmt.Sprint" | "strings.Join" | "strings.ToLower"
        | "strings.ToUpper" | "strings.TrimSpace" | "strings.ReplaceAll" | "strconv.Itoa" => Model::Text,
        "builtin.panic" | "builtin.print" | "builtin.println" | "builtin.delete" | "builtin.close"
        | "builtin.clear" | "builtin.make" | "builtin.new" => Model::Nothing,
        "builtin.min" | "builtin.max" | "slices.Max" | "slices.Min" => Model::Pick,
        "slices.Clone" | "slices.Sorted" | "slices.Collect" => Model::Elements,
        _ => Model::Unknown,
    }
}

use EffectKind::{Database, File, Http, Network, Process};

/// What libraries do outside the program.
pub(super) const EFFECTS: EffectTable = &[
    ("os.Open", Some(File)),
    ("os.OpenFile", Some(File)),
    ("os.Create", Some(File)),
    ("os.CreateTemp", Some(File)),
    ("os.ReadFile", Some(File)),
    ("os.WriteFile", Some(File)),
    ("os.ReadDir", Some(File)),
    ("os.Mkdir", Some(File)),
    ("os.MkdirAll", Some(File)),
    ("os.MkdirTemp", Some(File)),
    ("os.Remove", Some(File)),
    ("os.RemoveAll", Some(File)),
    ("os.Rename", Some(File)),
    ("os.Stat", Some(File)),
    ("os.Lstat", Some(File)),
    ("os.Chmod", Some(File)),
    ("os.Chown", Some(File)),
    ("os.Link", Some(File)),
    ("os.Symlink", Some(File)),
    ("os.Truncate", Some(File)),
    ("os.File", Some(File)),
    ("os.DirFS", Some(File)),
    ("os.Exit", Some(Process)),
    ("os.StartProcess", Some(Process)),
    ("os.FindProcess", Some(Process)),
    ("os.Process", Some(Process)),
    ("os/exec", Some(Process)),
    ("syscall.Exec", Some(Process)),
    ("syscall.Kill", Some(Process)),
    ("syscall.ForkExec", Some(Process)),
    ("io/ioutil", Some(File)),
    ("io/ioutil.ReadAll", None),
    ("path/filepath.Walk", Some(File)),
    ("path/filepath.WalkDir", Some(File)),
    ("path/filepath.Glob", Some(File)),
    ("path/filepath.EvalSymlinks", Some(File)),
    ("archive/zip.OpenReader", Some(File)),
    ("net/http.Get", Some(Http)),
    ("net/http.Post", Some(Http)),
    ("net/http.PostForm", Some(Http)),
    ("net/http.Head", Some(Http)),
    ("net/http.Client", Some(Http)),
    ("net/http.DefaultClient", Some(Http)),
    ("net/http.Transport", Some(Http)),
    ("net/http.DefaultTransport", Some(Http)),
    ("net/http.ListenAndServe", Some(Network)),
    ("net/http.ListenAndServeTLS", Some(Network)),
    ("net/http.Server", Some(Network)),
    ("net/http.ServeFile", Some(File)),
    ("github.com/go-resty/resty", Some(Http)),
    ("github.com/hashicorp/go-retryablehttp", Some(Http)),
    ("github.com/valyala/fasthttp.Client", Some(Http)),
    ("github.com/valyala/fasthttp.Get", Some(Http)),
    ("github.com/valyala/fasthttp.Do", Some(Http)),
    ("net.Dial", Some(Network)),
    ("net.DialTimeout", Some(Network)),
    ("net.Dialer", Some(Network)),
    ("net.Listen", Some(Network)),
    ("net.ListenPacket", Some(Network)),
    ("net.Conn", Some(Network)),
    ("net.TCPConn", Some(Network)),
    ("net.UDPConn", Some(Network)),
    ("net.Listener", Some(Network)),
    ("net.LookupHost", Some(Network)),
    ("net.LookupIP", Some(Network)),
    ("net.Resolver", Some(Network)),
    ("net/rpc", Some(Network)),
    ("net/smtp", Some(Network)),
    ("crypto/tls.Dial", Some(Network)),
    ("crypto/tls.Listen", Some(Network)),
    ("google.golang.org/grpc", Some(Network)),
    ("google.golang.org/grpc/codes", None),
    ("google.golang.org/grpc/status", None),
    ("google.golang.org/grpc/metadata", None),
    ("github.com/gorilla/websocket", Some(Network)),
    ("github.com/nats-io/nats.go", Some(Network)),
    ("github.com/segmentio/kafka-go", Some(Network)),
    ("github.com/IBM/sarama", Some(Network)),
    ("github.com/Shopify/sarama", Some(Network)),
    ("github.com/rabbitmq/amqp091-go", Some(Network)),
    ("github.com/streadway/amqp", Some(Network)),
    ("github.com/eclipse/paho.mqtt.golang", Some(Network)),
    ("github.com/aws/aws-sdk-go/service/sqs", Some(Network)),
    ("github.com/aws/aws-sdk-go-v2/service/sqs", Some(Network)),
    ("database/sql", Some(Database)),
    ("database/sql/driver", None),
    ("database/sql.ErrNoRows", None),
    ("github.com/jackc/pgx", Some(Database)),
    ("github.com/lib/pq", Some(Database)),
    ("github.com/go-sql-driver/mysql", Some(Database)),
    ("github.com/mattn/go-sqlite3", Some(Database)),
    ("github.com/jmoiron/sqlx", Some(Database)),
    ("gorm.io/gorm", Some(Database)),
    ("github.com/jinzhu/gorm", Some(Database)),
    ("entgo.io/ent", Some(Database)),
    ("github.com/uptrace/bun", Some(Database)),
    ("github.com/redis/go-redis", Some(Database)),
    ("github.com/go-redis/redis", Some(Database)),
    ("github.com/gomodule/redigo", Some(Database)),
    ("github.com/redis/rueidis", Some(Database)),
    ("github.com/bradfitz/gomemcache", Some(Database)),
    ("go.mongodb.org/mongo-driver", Some(Database)),
    ("go.mongodb.org/mongo-driver/bson", None),
    ("github.com/gocql/gocql", Some(Database)),
    ("go.etcd.io/etcd", Some(Database)),
    ("go.etcd.io/bbolt", Some(Database)),
    ("github.com/dgraph-io/badger", Some(Database)),
    ("github.com/syndtr/goleveldb", Some(Database)),
    ("github.com/elastic/go-elasticsearch", Some(Database)),
    ("github.com/minio/minio-go", Some(Database)),
    ("github.com/aws/aws-sdk-go/service/s3", Some(Database)),
    ("github.com/aws/aws-sdk-go/service/dynamodb", Some(Database)),
    ("github.com/aws/aws-sdk-go-v2/service/s3", Some(Database)),
    ("github.com/aws/aws-sdk-go-v2/service/dynamodb", Some(Database)),
    ("cloud.google.com/go/storage", Some(Database)),
    ("cloud.google.com/go/firestore", Some(Database)),
    ("cloud.google.com/go/bigquery", Some(Database)),
    ("cloud.google.com/go/spanner", Some(Database)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_they_are_searched() {
        assert!(BUILTINS.is_sorted());
        assert!(is_builtin("append") && is_builtin("uint8") && !is_builtin("errors"));
    }
}
