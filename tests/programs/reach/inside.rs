// SPDX-License-Identifier: Apache-2.0
//! inside PORT: a handshake from Rust, with OpenSSL linked statically.
use std::ffi::{c_int, c_void};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

#[link(name = "ssl", kind = "static")]
#[link(name = "crypto", kind = "static")]
unsafe extern "C" {
    fn TLS_client_method() -> *const c_void;
    fn SSL_CTX_new(method: *const c_void) -> *mut c_void;
    fn SSL_new(context: *mut c_void) -> *mut c_void;
    fn SSL_set_fd(ssl: *mut c_void, fd: c_int) -> c_int;
    fn SSL_connect(ssl: *mut c_void) -> c_int;
    fn SSL_get_error(ssl: *const c_void, ret: c_int) -> c_int;
    fn SSL_free(ssl: *mut c_void);
}

fn shake_hands(stream: &TcpStream) -> (c_int, c_int) {
    unsafe {
        let ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
        SSL_set_fd(ssl, stream.as_raw_fd());
        let ret = SSL_connect(ssl);
        let error = SSL_get_error(ssl, ret);
        SSL_free(ssl);
        (ret, error)
    }
}

fn main() {
    let port = std::env::args().nth(1).expect("a port").parse().expect("a number");
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    println!("{:?}", shake_hands(&stream));
}
