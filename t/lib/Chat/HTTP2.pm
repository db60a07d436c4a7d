package Chat::HTTP2;

# One HTTP/2 connection by frames: streams that are reset, windows that stay
# shut.  Headers are sent without Huffman's code; of an answer it knows the
# status and the body.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

use Chat::Server qw(SCALE);
use Chat::TLS qw(start_tls write_all read_some);

use constant { DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4,
               PING => 6, WINDOW_UPDATE => 8 };


# new(port => N, tls => 1, window => BYTES OF EACH STREAM)

sub new {
    my ($class, %args) = @_;

    my $self = bless { buffer => '', last => -1, streams => {}, pongs => 0,
                       %args }, $class;

    $self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                            PeerPort => $self->{port})
        or die "connect to port $self->{port}: $@";
    start_tls($self->{socket}, 'h2') if $self->{tls};

    $self->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                . frame(SETTINGS, 0, 0, pack 'n N', 4,
                        $self->{window} // 65535)
                . frame(SETTINGS, 1, 0, ''));

    return $self;
}


sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N C C N', length $payload, $type, $flags, $stream), 1)
           . $payload;
}


sub send  { return write_all($_[0]{socket}, $_[1]) }
sub reset { return frame(RST_STREAM, 0, $_[1], pack 'N', 8) }
sub widen { return frame(WINDOW_UPDATE, 0, $_[1], pack 'N', $_[2]) }
sub ping  { return frame(PING, 0, 0, 'all seen') }


# The frames of a request; its stream is then the last one.

sub request {
    my ($self, $method, $path, $headers, $body) = @_;

    my @list = (':method' => $method, ':path' => $path, ':scheme' => 'http',
                ':authority' => 'localhost', %{ $headers || {} });
    my $block = join '', map { ($_ % 2 ? '' : "\0") . pack 'C/a', $list[$_] }
                         0 .. $#list;
    my $id = $self->{last} += 2;

    return frame(HEADERS, defined $body ? 4 : 5, $id, $block)
           . (defined $body ? frame(DATA, 1, $id, $body) : '');
}


# Reads frames until the function returns true; false where it does not in
# time.  An answer is $h2->{streams}{ID}: { status, body, end, reset }.

sub read_until {
    my ($self, $seconds, $cb) = @_;

    my $end = time() + $seconds * SCALE;

    while (!$cb->()) {
        my $left = $end - time();

        return 0 if $left <= 0
                    || !IO::Select->new($self->{socket})->can_read($left);
        return 0 if (read_some($self->{socket}, \$self->{buffer}) // 1) == 0;
        $self->take_frames;
    }

    return 1;
}


sub take_frames {
    my ($self) = @_;

    while (length $self->{buffer} >= 9) {
        my ($len, $type, $flags, $id)
            = unpack 'N C C N', "\0" . substr $self->{buffer}, 0, 9;

        last if length $self->{buffer} < 9 + $len;

        my $payload = substr substr($self->{buffer}, 0, 9 + $len, ''), 9;
        my $s = $self->{streams}{$id} ||= { status => 0, body => '' };

        $self->{pongs}++       if $type == PING && $flags & 1;
        $s->{body} .= $payload if $type == DATA;
        $s->{reset} = 1        if $type == RST_STREAM;
        $s->{end} = 1          if $type <= HEADERS && $flags & 1;

        # nginx begins with the status: one of the table, or three digits
        $s->{status} = $1 ? { 0x88 => 200, 0x8d => 404 }->{ord $1} || 1 : $2
            if $type == HEADERS
               && $payload =~ /^[\x20-\x3f]?(?:([\x80-\xff])|\x48\x03(\d+))/s;
    }
}


1;
