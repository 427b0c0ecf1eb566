//! What can go wrong with a server: what passes by itself, and what the user has to mend.

use std::io::ErrorKind as IoKind;
use std::time::Duration;

use mysql_async::{DriverError, Error as MysqlError, IoError, ServerError};

use crate::error::{Error, ErrorKind};

/// Errors of a server that has too much to do, is shut down, or made somebody wait for too long:
/// another try may succeed. By their numbers, which are the same for MySQL and MariaDB.
const PASSING: [u16; 29] = [
    1020, // a row has changed since it was read
    1021, // the disk is full; somebody is making room
    1037, 1038, 1041, // out of memory
    1040, // too many connections
    1042, 1043, // the handshake failed
    1053, // it is being shut down
    1077, 1078, 1079, // likewise
    1080, // it closes this connection
    1152, 1158, 1159, 1160, 1161, 1184, // the network
    1180, // a commit failed
    1203, 1226, // too many connections of this user
    1205, // a lock was not to be had in time
    1213, // a deadlock
    1290, 1836, // it is read-only for now: a replica that takes over
    1317, // somebody interrupted the query
    1927, // somebody ended the connection
    1969, // the query took too long
];

/// As [`PASSING`], above the numbers that both servers share.
const PASSING_OF_MYSQL: [u16; 2] = [
    3024, // the query took too long
    3100, // replication plugins did not agree to a commit
];

/// The server refuses this user, or what the user wants.
const DENIED: [u16; 6] = [1045, 1130, 1142, 1143, 1227, 1698];

/// Why something could not be done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server, or the way to it.
    Mysql(MysqlError),
    /// No answer came in time.
    Timeout(Duration),
    /// What cannot come right by itself, in our own words.
    Lasting(Error),
    /// What may come right by itself, in our own words.
    Passing(Error),
    /// Nobody waits for the answer any more.
    Unwanted,
}

impl From<MysqlError> for Failure {
    fn from(error: MysqlError) -> Self {
        Self::Mysql(error)
    }
}

impl Failure {
    /// Whether it may be gone on another try.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Passing(_) => true,
            Self::Lasting(_) | Self::Unwanted => false,
            Self::Mysql(MysqlError::Server(error)) => {
                PASSING.contains(&error.code) || PASSING_OF_MYSQL.contains(&error.code)
            }
            // A certificate that is refused is told as invalid data.
            Self::Mysql(MysqlError::Io(IoError::Io(cause))) => {
                cause.kind() != IoKind::InvalidData && cause.kind() != IoKind::InvalidInput
            }
            Self::Mysql(MysqlError::Driver(error)) => matches!(
                error,
                DriverError::ConnectionClosed
                    | DriverError::PacketOutOfOrder
                    | DriverError::UnexpectedPacket { .. }
            ),
            Self::Mysql(MysqlError::Io(IoError::Tls(_)) | MysqlError::Url(_)) => false,
            Self::Mysql(MysqlError::Other(_)) => false,
        }
    }

    /// Whether the connection was ended, rather than the server slow or unwilling.
    pub(super) fn is_end_of_connection(&self) -> bool {
        match self {
            Self::Mysql(error) => error.is_fatal() && self.may_pass(),
            Self::Timeout(_) | Self::Lasting(_) | Self::Passing(_) | Self::Unwanted => false,
        }
    }

    /// What happened, for people, in one line.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Timeout(after) => format!("no answer within {after:?}"),
            Self::Lasting(error) | Self::Passing(error) => error.full_text(),
            Self::Unwanted => "the job ends".into(),
            Self::Mysql(MysqlError::Server(ServerError { code, message, .. })) => {
                format!("error {code}: {message}")
            }
            Self::Mysql(MysqlError::Io(IoError::Io(cause))) => cause.to_string(),
            Self::Mysql(MysqlError::Io(IoError::Tls(cause))) => cause.to_string(),
            Self::Mysql(MysqlError::Driver(DriverError::UnexpectedPacket { .. })) => {
                // Its own text may hold what the packet did.
                "the server answered with a packet that was not expected".into()
            }
            Self::Mysql(MysqlError::Driver(cause)) => cause.to_string(),
            Self::Mysql(cause) => cause.to_string(),
        }
    }

    /// The error that ends the job: `what` could not be done.
    pub(super) fn into_error(self, what: &str) -> Error {
        let hint = self.hint();
        let error = match &self {
            Self::Unwanted => Error::new(ErrorKind::Interrupted, what),
            failure if failure.may_pass() => Error::storage(what),
            _ => Error::input(what),
        };
        let error = match self {
            Self::Lasting(error) | Self::Passing(error) => return error,
            failure => error.caused_by(failure.text()),
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Mysql(MysqlError::Server(ServerError { code, .. })) => match code {
                code if DENIED.contains(code) => Some(
                    "look at what the variables hold that `user_env` and `password_env` name, and \
                     at what the server grants this user",
                ),
                1044 | 1049 => Some(
                    "look at the database at the end of `url`, and at what the server grants this \
                     user",
                ),
                1054 | 1064 | 1146 => Some("look at the names of tables and columns, and at SQL"),
                1048 | 1062 | 1264 | 1292 | 1366 | 1406 => Some(
                    "let the table take what the job writes; what was not written waits in the \
                     last checkpoint, if there are any",
                ),
                _ => None,
            },
            Self::Mysql(MysqlError::Driver(DriverError::NoClientSslFlagFromServer)) => {
                Some("the server has no TLS: leave `tls` out, or give the server a certificate")
            }
            Self::Mysql(MysqlError::Io(IoError::Tls(_))) => Some(TLS_HINT),
            Self::Mysql(MysqlError::Io(IoError::Io(cause)))
                if cause.kind() == IoKind::InvalidData =>
            {
                Some(TLS_HINT)
            }
            failure if failure.may_pass() => {
                Some("start the server, or look at `url`; `retry_for` says how long to wait for it")
            }
            _ => None,
        }
    }
}

const TLS_HINT: &str = "look at `tls_ca`, and at the names in the server's certificate";

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16) -> Failure {
        let (message, state) = ("as the server says".into(), "HY000".into());
        Failure::Mysql(MysqlError::Server(ServerError { code, message, state }))
    }

    fn io(kind: IoKind) -> Failure {
        Failure::Mysql(MysqlError::Io(IoError::Io(kind.into())))
    }

    #[test]
    fn what_a_server_recovers_from_may_pass() {
        let passing = [server(1040), server(1053), server(1205), server(1213), server(1927)];
        let on_the_way = [
            io(IoKind::ConnectionRefused),
            io(IoKind::UnexpectedEof),
            Failure::Timeout(Duration::from_secs(3)),
            Failure::Mysql(MysqlError::Driver(DriverError::ConnectionClosed)),
        ];
        for failure in passing.into_iter().chain(on_the_way) {
            assert!(failure.may_pass(), "{failure:?}");
            assert_eq!(failure.into_error("cannot").kind, ErrorKind::Storage);
        }
    }

    #[test]
    fn what_the_user_has_to_mend_does_not() {
        for (failure, hint) in [
            (server(1045), "`password_env`"),
            (server(1049), "`url`"),
            (server(1146), "names of tables"),
            (server(1406), "let the table take"),
            (io(IoKind::InvalidData), "`tls_ca`"),
        ] {
            assert!(!failure.may_pass(), "{failure:?}");
            let error = failure.into_error("cannot read");
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Input, "cannot read"));
            assert!(error.hint.expect("there is one").contains(hint));
        }
    }
}
