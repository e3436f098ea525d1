//! The words on the wire, shared by server and client.
