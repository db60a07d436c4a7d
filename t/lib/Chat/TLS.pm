package Chat::TLS;

# TLS for a test's server and clients: a certificate of its own, and sockets
# that are turned into TLS once they are connected.

use strict;
use warnings;

use Errno qw(EAGAIN EINTR);
use Exporter 'import';
use IO::Select;

our @EXPORT_OK = qw(make_certificate start_tls write_all read_some);


# A key and a certificate for localhost, signed by itself.

sub make_certificate {
    my ($key, $cert) = @_;

    my $out = `openssl req -x509 -newkey rsa:2048 -nodes -days 2 \\
                   -subj /CN=localhost -keyout '$key' -out '$cert' 2>&1`;

    die "openssl: $out" unless $? == 0 && -s $key && -s $cert;
}


# The same socket, from now on with TLS, and with a protocol above it ("h2")
# where one is named.  Reads don't block: a record may be readable in parts, or
# be no data at all (a session ticket).

sub start_tls {
    my ($socket, $protocol) = @_;

    # most tests do without
    require IO::Socket::SSL;

    # a close says goodbye, even to who has gone
    $SIG{PIPE} = 'IGNORE';

    IO::Socket::SSL->start_SSL($socket,
        SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE(),
        defined $protocol ? (SSL_alpn_protocols => [ $protocol ]) : ())
        or die "TLS: $IO::Socket::SSL::SSL_ERROR";

    $socket->blocking(0);

    return $socket;
}


# For sockets of both kinds: false where the connection is broken.

sub write_all {
    my ($socket, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';

    while (length $bytes) {
        $! = 0;
        my $n = syswrite $socket, $bytes;

        if (defined $n) {
            substr($bytes, 0, $n, '');

        } elsif ($! == EAGAIN) {
            IO::Select->new($socket)->can_write(1);

        } elsif ($! != EINTR) {
            return 0;
        }
    }

    return 1;
}


# Appends what a readable socket has to $$buffer.  Returns the bytes read, 0
# at the end of the connection, undef where nothing was there yet.  One call
# takes all that TLS has decrypted, so that the next can be waited for.

sub read_some {
    my ($socket, $buffer) = @_;

    $! = 0;
    my $n = sysread $socket, $$buffer, 1048576, length $$buffer;

    return $n if defined $n;
    return $! == EAGAIN || $! == EINTR ? undef : 0;
}


1;
