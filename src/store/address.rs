//! Where a store is and who asks: addresses as typed, variables and password files to what a driver is told, field by field.
//!
//! Addresses are parsed here, not by the drivers: `postgres://u:pa@ss/w#rd@h/db` is read by one as host `ss`, which sends a piece of the password to the name
//! service and into errors. What could be read in two ways is refused, and no error repeats what may hold a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// How a connection is encrypted, as libpq names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// Where the server can; nobody is checked.
    Prefer,
    /// Always; nobody is checked, unless a root certificate is given.
    Require,
    /// Always; the certificate must come from a known authority.
    VerifyCa,
    /// Always; and it must be that of the host.
    VerifyFull,
}

/// Names of [`Tls`], as libpq has them.
const MODES: [(&str, Tls); 6] = [
    ("disable", Tls::Disable),
    ("allow", Tls::Prefer),
    ("prefer", Tls::Prefer),
    ("require", Tls::Require),
    ("verify-ca", Tls::VerifyCa),
    ("verify-full", Tls::VerifyFull),
];

/// A PostgreSQL server, a database of it, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAddress {
    /// Host name or address; a folder with a socket where it begins with `/`.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// Database.
    pub database: String,
    /// Encryption.
    pub tls: Tls,
    /// Certificates of the authorities that are trusted; those of the system where there is none.
    pub root_certificate: Option<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// The password was part of the address as given.
    pub password_in_url: bool,
}

/// A Neo4j server, a database of it, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neo4jAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: Option<Secret>,
    /// Database; the server's default one where it is empty.
    pub database: String,
    /// Encryption: [`Tls::Disable`], [`Tls::Require`] (`+ssc`) or [`Tls::VerifyFull`] (`+s`).
    pub tls: Tls,
    /// The password was part of the address as given.
    pub password_in_url: bool,
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}/{}", shown(&self.host), self.port, shown(&self.database))
    }
}

impl fmt::Display for Neo4jAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", shown(&self.host), self.port)?;
        if self.database.is_empty() { Ok(()) } else { write!(out, "/{}", shown(&self.database)) }
    }
}

fn shown(text: &str) -> String {
    crate::model::source::escape(std::ffi::OsStr::new(text))
}

/// Why an address can't be used. Says nothing of what it holds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with no scheme that is known.
    #[error("the address begins with none of {0}")]
    Scheme(&'static str),
    /// User or password hold a character that ends them.
    #[error(
        "user and password of the address hold a character with a meaning of its own (`@ : / ? # %`), so that it can be read in two ways; write such characters percent-encoded (`@` is `%40`) or give the password in {0}"
    )]
    Ambiguous(&'static str),
    /// A percent sign is followed by no two hexadecimal digits.
    #[error(
        "a `%` of the address is not followed by two hexadecimal digits, or what it stands for is no UTF-8 or NUL"
    )]
    Percent,
    /// The port is no number.
    #[error("the port of the address is no number from 1 to 65535")]
    Port,
    /// There is no host.
    #[error("the address names no host")]
    Host,
    /// An option is not known.
    #[error("the address has an unknown option; known are {0}")]
    Option(&'static str),
    /// An option has a value that it can't have.
    #[error("`{0}` has a value that is not one of {1}")]
    Value(&'static str, &'static str),
    /// The address holds fragment or path that mean nothing.
    #[error("the address has a part behind the database that means nothing here")]
    Rest,
    /// What is needed is not there.
    #[error("{0}")]
    Missing(&'static str),
}

/// The variables that addresses may use.
pub type Variables = BTreeMap<String, String>;

/// An address cut into its parts, decoded.
struct Parts {
    scheme: String,
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    path: Option<String>,
    options: Vec<(String, String)>,
}

const IN_POSTGRES: &str = "PGPASSWORD or a password file";
const IN_NEO4J: &str = "PYDEBUG_NEO4J_PASSWORD";

fn cut(
    url: &str,
    schemes: &[&str],
    names: &'static str,
    elsewhere: &'static str,
) -> Result<Parts, AddressError> {
    let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme(names))?;
    let scheme = scheme.to_ascii_lowercase();
    if !schemes.contains(&scheme.as_str()) {
        return Err(AddressError::Scheme(names));
    }
    let ambiguous = || AddressError::Ambiguous(elsewhere);
    // Everything up to the only `@` is user and password. A second one, or one behind a character that ends them, can be read in two ways.
    let (info, rest) = match rest.matches('@').count() {
        0 => (None, rest),
        1 => rest.split_once('@').map_or((None, rest), |(info, rest)| (Some(info), rest)),
        _ => return Err(ambiguous()),
    };
    let (user, password) = match info {
        None => (None, None),
        Some(info) if info.contains(['/', '?', '#', '[', ']']) || info.matches(':').count() > 1 => {
            return Err(ambiguous());
        }
        Some(info) => match info.split_once(':') {
            Some((user, password)) => (Some(user), Some(password)),
            None => (Some(info), None),
        },
    };
    let (rest, options) = match rest.split_once('?') {
        Some((rest, options)) => (rest, options),
        None => (rest, ""),
    };
    // Without an `@`, what is after `host:` may be a password.
    if rest.contains('#') || options.contains('#') {
        return Err(AddressError::Rest);
    }
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (rest, None),
    };
    if path.is_some_and(|path| path.contains('/')) {
        return Err(AddressError::Rest);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
            (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some("x")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => Some(port.parse().ok().filter(|&port| port != 0).ok_or(AddressError::Port)?),
        None => None,
    };
    let decoded = |text: Option<&str>| text.map(decode).transpose();
    let pairs = options.split('&').filter(|pair| !pair.is_empty());
    let options = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect::<Result<_, AddressError>>()?;
    Ok(Parts {
        scheme,
        user: decoded(user)?.filter(|user| !user.is_empty()),
        password: decoded(password)?,
        host: decode(host)?,
        port,
        path: decoded(path)?.filter(|path| !path.is_empty()),
        options,
    })
}

fn decode(text: &str) -> Result<String, AddressError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) if high + low > 0 => out.push((high * 16 + low) as u8),
            _ => return Err(AddressError::Percent),
        }
    }
    String::from_utf8(out).map_err(|_| AddressError::Percent)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.starts_with('/')
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address of a PostgreSQL server: of `url`, and of the variables of libpq what that does not say.
///
/// # Errors
/// [`AddressError`].
pub fn postgres(url: &str, variables: &Variables) -> Result<PostgresAddress, AddressError> {
    const OPTIONS: &str = "sslmode, sslrootcert, connect_timeout, user, password, host, port, dbname, passfile, application_name";
    const SSL: &str = "disable, allow, prefer, require, verify-ca, verify-full";
    let parts = cut(url, &["postgres", "postgresql"], "`postgres://` and `postgresql://`", IN_POSTGRES)?;
    let mut given: BTreeMap<&str, String> = BTreeMap::new();
    for (variable, name) in [
        ("PGHOST", "host"),
        ("PGPORT", "port"),
        ("PGUSER", "user"),
        ("PGPASSWORD", "password"),
        ("PGDATABASE", "dbname"),
        ("PGPASSFILE", "passfile"),
        ("PGSSLMODE", "sslmode"),
        ("PGSSLROOTCERT", "sslrootcert"),
        ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ] {
        if let Some(value) = variables.get(variable).filter(|value| !value.is_empty()) {
            given.insert(name, value.clone());
        }
    }
    let mut password_in_url = parts.password.is_some();
    for (name, value) in &parts.options {
        let known = OPTIONS.split(", ").find(|known| known == name).ok_or(AddressError::Option(OPTIONS))?;
        password_in_url |= known == "password";
        given.insert(known, value.clone());
    }
    let mut of_url = |name, value: Option<String>| {
        value.into_iter().for_each(|value| {
            given.insert(name, value);
        });
    };
    of_url("host", Some(parts.host).filter(|host| !host.is_empty()));
    of_url("port", parts.port.map(|port| port.to_string()));
    of_url("user", parts.user);
    of_url("password", parts.password);
    of_url("dbname", parts.path);
    let host = given.remove("host").unwrap_or_else(|| "localhost".to_owned());
    let port = match given.remove("port") {
        Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or(AddressError::Port)?,
        None => 5432,
    };
    let user =
        given.remove("user").or_else(|| variables.get("USER").cloned()).ok_or(AddressError::Missing(
            "the address names no user; write `postgres://USER@HOST/DATABASE` or set PGUSER",
        ))?;
    let database = given.remove("dbname").unwrap_or_else(|| user.clone());
    let tls = match given.remove("sslmode") {
        Some(mode) => {
            MODES.iter().find(|(name, _)| *name == mode).ok_or(AddressError::Value("sslmode", SSL))?.1
        }
        None if is_loopback(&host) => Tls::Prefer,
        None => Tls::VerifyFull,
    };
    let connect_timeout = match given.remove("connect_timeout") {
        Some(seconds) => {
            let seconds = seconds.parse().map_err(|_| AddressError::Value("connect_timeout", "seconds"))?;
            Duration::from_secs(if seconds == 0 { 3600 } else { seconds })
        }
        None => Duration::from_secs(10),
    };
    let passfile = given
        .remove("passfile")
        .map(PathBuf::from)
        .or_else(|| variables.get("HOME").map(|home| PathBuf::from(home).join(".pgpass")));
    let password = given.remove("password").map(Secret::new).or_else(|| {
        let text = passfile.as_deref().and_then(read_private)?;
        let host = if host.starts_with('/') { "localhost" } else { &host };
        of_password_file(&text, [host, &port.to_string(), &database, &user])
    });
    let root_certificate = given.remove("sslrootcert").filter(|path| path != "system").map(PathBuf::from);
    Ok(PostgresAddress {
        host,
        port,
        user,
        password,
        database,
        tls,
        root_certificate,
        connect_timeout,
        password_in_url,
    })
}

/// A password file that nobody else can read.
fn read_private(path: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            "the password file `{}` is left out: others can read it; `chmod 0600` it",
            path.display()
        );
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// The password of the first line `host:port:database:user:password` that fits; `*` fits all, `\` takes the meaning of `:` and `\`.
fn of_password_file(text: &str, wanted: [&str; 4]) -> Option<Secret> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => fields.last_mut()?.extend(characters.next()),
                ':' if fields.len() < 5 => fields.push(String::new()),
                other => fields.last_mut()?.push(other),
            }
        }
        let fits = fields.len() == 5
            && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| Secret::new(fields.pop().unwrap_or_default()))
    })
}

/// The address of a Neo4j server: of `uri`, and of the variables what that does not say.
///
/// # Errors
/// [`AddressError`].
pub fn neo4j(uri: &str, variables: &Variables) -> Result<Neo4jAddress, AddressError> {
    const SCHEMES: [&str; 6] = ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"];
    const OPTIONS: &str = "database";
    let parts = cut(
        uri,
        &SCHEMES,
        "`bolt://`, `bolt+s://`, `bolt+ssc://`, `neo4j://`, `neo4j+s://` and `neo4j+ssc://`",
        IN_NEO4J,
    )?;
    if parts.host.is_empty() {
        return Err(AddressError::Host);
    }
    let variable = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
    let mut database = None;
    for (name, value) in parts.options {
        if name != "database" {
            return Err(AddressError::Option(OPTIONS));
        }
        database = Some(value);
    }
    let tls = match parts.scheme.split_once('+') {
        None => Tls::Disable,
        Some((_, "ssc")) => Tls::Require,
        Some(_) => Tls::VerifyFull,
    };
    Ok(Neo4jAddress {
        host: parts.host,
        port: parts.port.unwrap_or(7687),
        user: parts.user.or_else(|| variable("PYDEBUG_NEO4J_USERNAME")).unwrap_or_else(|| "neo4j".to_owned()),
        password_in_url: parts.password.is_some(),
        password: parts.password.or_else(|| variable("PYDEBUG_NEO4J_PASSWORD")).map(Secret::new),
        database: database.or(parts.path).or_else(|| variable("PYDEBUG_NEO4J_DATABASE")).unwrap_or_default(),
        tls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn addresses() {
        let none = variables(&[("USER", "me")]);
        let of = |url: &str| postgres(url, &none).unwrap();
        let address = of("postgres://u:p%40ss%2Fw%23rd@h:6000/db");
        assert_eq!((address.host.as_str(), address.port, address.user.as_str()), ("h", 6000, "u"));
        assert_eq!(address.password.as_ref().map(Secret::expose), Some("p@ss/w#rd"));
        assert_eq!((address.tls, address.password_in_url), (Tls::VerifyFull, true));
        assert_eq!(address.to_string(), "h:6000/db");
        assert!(!format!("{address:?}").contains("p@ss"));
        let address = of("postgresql://[::1]/x?sslmode=require&connect_timeout=3");
        assert_eq!((address.host.as_str(), address.port, address.tls), ("::1", 5432, Tls::Require));
        assert_eq!((address.user.as_str(), address.connect_timeout), ("me", Duration::from_secs(3)));
        assert_eq!(of("postgres://localhost").tls, Tls::Prefer);
        assert_eq!(of("postgres:///db?host=/run/pg").host, "/run/pg");
        let with = variables(&[
            ("PGHOST", "other"),
            ("PGUSER", "you"),
            ("PGPASSWORD", "s"),
            ("PGSSLMODE", "disable"),
        ]);
        let address = postgres("postgres://", &with).unwrap();
        assert_eq!(
            (address.host.as_str(), address.user.as_str(), address.database.as_str()),
            ("other", "you", "you")
        );
        assert_eq!((address.tls, address.password_in_url), (Tls::Disable, false));
        let address = neo4j("neo4j+s://n:x@h/d", &none).unwrap();
        assert_eq!((address.tls, address.port, address.database.as_str()), (Tls::VerifyFull, 7687, "d"));
        let address = neo4j("bolt://h", &variables(&[("PYDEBUG_NEO4J_PASSWORD", "q")])).unwrap();
        assert_eq!(
            (address.user.as_str(), address.password.as_ref().map(Secret::expose)),
            ("neo4j", Some("q"))
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_and_not_repeated() {
        for url in [
            "postgres://u:pa@ss/w#rd@h/db",
            "postgres://u:pa@ss@h/db",
            "postgres://u:se/cret@h/db",
            "postgres://u:se?cret@h/db",
            "postgres://u:se#cret@h/db",
            "postgres://u:se:cret@h/db",
            "postgres://u:se%zzcret@h/db",
            "postgres://u:secret/db",
            "postgres://h/db?pasword=secret",
            "postgres://h/db#secret",
            "postgres://h:99999/db",
            "postgres://h/a/secret",
            "host=h password=secret",
            "mysql://u:secret@h/db",
            "postgres://h/db?sslmode=secret",
        ] {
            let error = postgres(url, &variables(&[("USER", "me")])).unwrap_err().to_string();
            for piece in ["ss/w", "secret", "cret"] {
                assert!(!error.contains(piece), "{url}: {error}");
            }
        }
    }

    #[test]
    fn password_files() {
        let text = "# comment\nh:5432:db:other:wrong\n*:*:a\\:b:u:p\\:a\\\\ss:x\nh:*:*:u:right\n";
        let found = |database| {
            of_password_file(text, ["h", "5432", database, "u"]).map(|secret| secret.expose().to_owned())
        };
        assert_eq!(found("db").as_deref(), Some("right"));
        assert_eq!(found("a:b").as_deref(), Some("p:a\\ss:x"));
        assert!(of_password_file(text, ["g", "1", "d", "v"]).is_none());
    }
}
