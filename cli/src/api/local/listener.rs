//! Finds out which user listens on a port of this machine, from `/proc/net/tcp` and `/proc/net/tcp6`.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket's state while it listens.
const LISTENS: &str = "0A";

/// Returns the users whose processes may listen on this port of the loopback interface. Empty if no process
/// does.
///
/// # Errors
/// If the kernel does not say it.
pub(super) fn owners(port: u16) -> io::Result<Vec<u32>> {
    let mut owners = listed(&fs::read_to_string("/proc/self/net/tcp")?, port);
    match fs::read_to_string("/proc/self/net/tcp6") {
        Ok(text) => owners.extend(listed(&text, port)),
        // The kernel has no IPv6.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // While sockets come and go, the kernel may list one twice.
    owners.sort_unstable();
    owners.dedup();
    Ok(owners)
}

/// Parses a line. Its second to fourth words are the local address, the peer's address and the state, and the
/// eighth is the user.
fn listed(text: &str, port: u16) -> Vec<u32> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listener = |words: Vec<&str>| {
        let [_, local, _, LISTENS, _, _, _, uid, ..] = words[..] else { return None };
        let (address, at) = local.split_once(':')?;
        let is_it = u16::from_str_radix(at, 16).ok()? == port && is_reached_by_loopback(parse(address)?);
        is_it.then(|| uid.parse().ok())?
    };
    lines.filter_map(listener).collect()
}

/// Parses an address. Each word of 32 bits is written in this machine's byte order.
fn parse(address: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if address.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).to_canonical())
}

fn is_reached_by_loopback(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Ports 8400 of 127.0.0.1 (uid 1000), of 10.0.0.5 (uid 33) and of every address (uid 1001), and a
    /// connection to 8400.
    #[cfg(target_endian = "little")]
    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20D0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1076 1 0 100 0 0 10 0
   1: 0500000A:20D0 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 1077 1 0 100 0 0 10 0
   2: 00000000:20D0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1078 1 0 100 0 0 10 0
   3: 0100007F:20D0 0100007F:938E 01 00000000:00000000 00:00000000 00000000    33        0 5440 1 0 21 4 1 28 64";

    #[cfg(target_endian = "little")]
    #[test]
    fn listeners_are_found_by_port_and_address() {
        assert_eq!(listed(TCP, 8400), [1000, 1001]);
        assert_eq!(listed(TCP, 8401), Vec::<u32>::new());
        let six = "0: 00000000000000000000000001000000:20D0 0:0 0A 0:0 0:0 0 7 0 1\n\
                   1: 0000000000000000FFFF00000100007F:20D0 0:0 0A 0:0 0:0 0 8 0 1\n\
                   2: 00000000000000000000000000000000:20D0 0:0 0A 0:0 0:0 0 9 0 1";
        assert_eq!(listed(six, 8400), [7, 8, 9]);
    }

    #[test]
    fn the_kernel_knows_a_listener_of_this_process() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(owners(port).unwrap(), [floodgate_devkit::trust::own_uid()]);
        drop(listener);
        assert_eq!(owners(port).unwrap(), Vec::<u32>::new());
    }
}
