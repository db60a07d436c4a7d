package Chat::WebSocket;

# A WebSocket client for tests.  Requests and sent frames are made by
# Protocol::WebSocket.  What comes is read here, strictly: a server must not
# mask, must not set reserved bits, must use the shortest length; and 200
# subscribers need a quick reader.

use strict;
use warnings;

use Digest::SHA ();
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 ();
use Protocol::WebSocket::Frame;
use Protocol::WebSocket::Handshake::Client;
use Socket ();
use Time::HiRes qw(time);

use Chat::Server qw(SCALE APP_KEY);
use Chat::TLS qw(start_tls write_all read_some);

our @EXPORT_OK = qw(TEXT BINARY CONTINUATION CLOSE PING PONG read_all
                    data_of);

use constant {
    CONTINUATION => 0, TEXT => 1, BINARY => 2,
    CLOSE => 8, PING => 9, PONG => 10,
};

my $json = JSON::PP->new->utf8->canonical->allow_nonref;


# new(port => N, path => '/app/KEY?...', headers => [ 'Name: value' ],
#     rcvbuf => BYTES, extra => BYTES SENT BEHIND THE REQUEST,
#     request => \&CHANGE(text), auto_pong => 1, tls => 1)
#
# After new() the answer's status is in {status}; with 101 the connection is
# ready, otherwise {response} has the text of the answer's head.

sub new {
    my ($class, %args) = @_;

    my $self = bless {
        path      => '/app/' . APP_KEY
                     . '?protocol=7&client=js&version=8.6.0&flash=false',
        headers   => [],
        auto_pong => 1,
        extra     => '',
        %args,
        buffer    => '',
        frames    => [],
    }, $class;

    $self->open_socket;
    $self->handshake;

    return $self;
}


sub open_socket {
    my ($self) = @_;

    socket my $s, Socket::PF_INET(), Socket::SOCK_STREAM(), 0
        or die "socket: $!";

    if ($self->{rcvbuf}) {
        setsockopt $s, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(),
                   $self->{rcvbuf};
    }

    connect $s, Socket::sockaddr_in($self->{port},
                                    Socket::inet_aton('127.0.0.1'))
        or die "connect to port $self->{port}: $!";
    setsockopt $s, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
    binmode $s;
    start_tls($s) if $self->{tls};

    $self->{socket} = $s;
}


sub request_text {
    my ($self) = @_;

    my $h = Protocol::WebSocket::Handshake::Client->new(
        url => "ws://127.0.0.1:$self->{port}$self->{path}");
    my $text = $h->to_string;

    # Protocol::WebSocket sends an Origin of its own; a test says which
    $text =~ s/^Origin:.*?\r\n//mi;

    my $more = join '', map { "$_\r\n" } @{$self->{headers}};
    $text =~ s/\r\n\r\n\z/\r\n$more\r\n/;

    $text = $self->{request}->($text) if $self->{request};

    return $text;
}


sub handshake {
    my ($self) = @_;

    my $text = $self->request_text;
    my ($key) = $text =~ /^Sec-WebSocket-Key:\s*(\S+)/mi;

    $self->send_raw($text . $self->{extra});

    my $end = time() + 10 * SCALE;

    while ($self->{buffer} !~ /\r\n\r\n/) {
        if (!$self->fill($end)) {
            $self->{status} = 0;
            return;
        }
    }

    $self->{buffer} =~ s/^(.*?\r\n)\r\n//s;
    $self->{response} = $1;
    ($self->{status}) = $self->{response} =~ m{^HTTP/1\.1 (\d{3})};

    return unless $self->{status} == 101;

    my $accept = MIME::Base64::encode_base64(
        Digest::SHA::sha1($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'), '');

    die "wrong Sec-WebSocket-Accept in\n$self->{response}"
        unless ($self->header('Sec-WebSocket-Accept') || '') eq $accept;
    die "wrong Upgrade or Connection in\n$self->{response}"
        unless lc($self->header('Upgrade') || '') eq 'websocket'
               && lc($self->header('Connection') || '') eq 'upgrade';
}


sub header {
    my ($self, $name) = @_;

    return $self->{response} =~ /^\Q$name\E:\s*(.*?)\s*\r$/mi ? $1 : undef;
}


# Connects and takes the first event, which must be the establishing one.

sub established {
    my ($class, %args) = @_;

    my $self = $class->new(%args);

    die "handshake: $self->{status}" unless $self->{status} == 101;

    my $event = $self->next_event;

    die "first event: " . ($event->{raw} || join ' ', %$event)
        unless ($event->{event} || '') eq 'pusher:connection_established';

    my $data = $json->decode($event->{data});

    $self->{socket_id} = $data->{socket_id};
    $self->{activity_timeout} = $data->{activity_timeout};
    $self->{recovery} = $data->{recovery};

    return $self;
}


sub socket    { $_[0]{socket} }
sub socket_id { $_[0]{socket_id} }


sub disconnect {
    my ($self) = @_;

    CORE::close $self->{socket} if $self->{socket};
    undef $self->{socket};
}


# ---- sending

sub send_raw {
    my ($self, $bytes) = @_;

    return write_all($self->{socket}, $bytes);
}


# Bytes of a frame: frame(opcode => TEXT, payload => '', fin => 1, rsv => 0,
# masked => 1).

sub frame {
    my ($class, %f) = @_;

    my $frame = Protocol::WebSocket::Frame->new(
        buffer => defined $f{payload} ? $f{payload} : '',
        opcode => defined $f{opcode} ? $f{opcode} : TEXT,
        fin    => defined $f{fin} ? $f{fin} : 1,
        masked => defined $f{masked} ? $f{masked} : 1,
        rsv    => [ map { (($f{rsv} || 0) >> $_) & 1 } 2, 1, 0 ],
        max_payload_size => 0,
    );

    return $frame->to_bytes;
}


sub send_frame { my $self = shift; return $self->send_raw($self->frame(@_)) }


sub send_text {
    my ($self, $text) = @_;

    return $self->send_frame(opcode => TEXT, payload => $text);
}


sub send_event {
    my ($self, $event) = @_;

    return $self->send_text($json->encode($event));
}


sub send_close {
    my ($self, $code, $reason) = @_;

    my $payload = defined $code ? pack('n', $code) : '';

    $self->{closing} = 1;
    $payload .= $reason if defined $reason;

    return $self->send_frame(opcode => CLOSE, payload => $payload);
}


# ---- receiving

# Takes what has come until $end: bytes, 0 at the end of the connection, undef
# when the time is over.

sub fill {
    my ($self, $end) = @_;

    while (1) {
        my $left = $end - time();
        $left = 0 if $left < 0;

        return undef unless IO::Select->new($self->{socket})->can_read($left);

        my $n = read_some($self->{socket}, \$self->{buffer});
        return $n if defined $n;
        return undef if $left == 0;
    }
}


# Cuts all complete frames from the buffer: [ opcode, payload, fin ].

sub parse {
    my ($self) = @_;

    my $pos = 0;
    my $size = length $self->{buffer};
    my @frames;

    while ($size - $pos >= 2) {
        my ($b0, $b1) = unpack "\@$pos C C", $self->{buffer};
        my $head = 2;
        my $len = $b1;

        die "server masked a frame" if $b1 & 0x80;
        die "server set reserved bits" if $b0 & 0x70;

        if ($len == 126) {
            last if $size - $pos < 4;
            $len = unpack "\@$pos x2 n", $self->{buffer};
            die "length $len in 2 bytes" if $len < 126;
            $head = 4;

        } elsif ($len == 127) {
            last if $size - $pos < 10;
            $len = unpack "\@$pos x2 Q>", $self->{buffer};
            die "length $len in 8 bytes" if $len < 65536;
            $head = 10;
        }

        last if $size - $pos < $head + $len;

        push @frames, [ $b0 & 0x0f, substr($self->{buffer}, $pos + $head,
                                           $len), $b0 >> 7 ];
        $pos += $head + $len;
    }

    substr($self->{buffer}, 0, $pos, '') if $pos;

    for my $f (@frames) {
        die "server sent opcode $f->[0]"
            unless grep { $f->[0] == $_ } 0, 1, 2, 8, 9, 10;
        die "server sent a bad control frame"
            if $f->[0] >= 8 && (length $f->[1] > 125 || !$f->[2]);
    }

    return @frames;
}


# The next frame: [ opcode, payload, fin ]; [ 'eof' ] at the end of the
# connection; undef where none comes in time.  Pings are answered (and given
# to the caller) unless auto_pong is 0.

sub next_frame {
    my ($self, $timeout) = @_;

    my $end = time() + (defined $timeout ? $timeout : 5) * SCALE;

    while (!@{$self->{frames}}) {
        push @{$self->{frames}}, $self->parse;
        last if @{$self->{frames}};

        my $n = $self->fill($end);
        return undef unless defined $n;
        return [ 'eof' ] if $n == 0;
    }

    my $f = shift @{$self->{frames}};

    if ($f->[0] == PING && $self->{auto_pong}) {
        $self->send_frame(opcode => PONG, payload => $f->[1]);
    }

    $self->note_close($f) if $f->[0] == CLOSE;

    return $f;
}


# P19 and RFC 6455, 7.4.1: no test ever meets another close code.

sub note_close {
    my ($self, $f) = @_;

    my $code = length $f->[1] ? unpack('n', $f->[1]) : 1005;

    # an answer to ours repeats our code
    die "server closed with $code"
        unless $self->{closing}
               || $code == 1005 && $f->[1] eq ''
               || $code =~ /^100[0-37-9]$|^101[01]$|^4[012]\d\d$/;

    $self->{close_code} = $code;
}


# The next event, decoded, with its text in {raw}: pings and pongs are passed
# over.  { close => CODE, reason => TEXT } for a close frame, { eof => 1 } for
# the end of the connection, { nothing => 1 } when the time is over.

sub next_event {
    my ($self, $timeout) = @_;

    my $end = time() + (defined $timeout ? $timeout : 5) * SCALE;

    while (1) {
        my $left = $end - time();
        my $f = $self->next_frame($left > 0 ? $left / SCALE : 0);

        return { nothing => 1 } unless $f;
        return { eof => 1 } if $f->[0] eq 'eof';
        next if $f->[0] == PING || $f->[0] == PONG;

        return { close => $self->{close_code},
                 reason => length $f->[1] > 2 ? substr($f->[1], 2) : '' }
            if $f->[0] == CLOSE;

        die "server sent a frame of opcode $f->[0]" unless $f->[0] == TEXT;
        die "server fragmented a message" unless $f->[2];

        my $event = $json->decode($f->[1]);
        die "server sent no object: $f->[1]" unless ref $event eq 'HASH';

        $event->{raw} = $f->[1];

        return $event;
    }
}


# What a close must look like from here: the close code, once the server has
# also ended the connection; everything before the close frame is passed over.

sub wait_close {
    my ($self, $timeout) = @_;

    my $end = time() + (defined $timeout ? $timeout : 5) * SCALE;
    my $code;

    while (1) {
        my $left = $end - time();
        my $f = $self->next_frame($left > 0 ? $left / SCALE : 0);

        return defined $code ? "$code without end" : 'no close' unless $f;
        return defined $code ? $code : 'end without close'
            if $f->[0] eq 'eof';

        if ($f->[0] == CLOSE) {
            return "$code twice" if defined $code;
            $code = $self->{close_code};
            # as RFC 6455 wants it of a client
            $self->send_close($code == 1005 ? () : $code)
                unless $self->{closing};
        }
    }
}


# All frames that are under way: asks for a pong and collects what comes before
# it.  undef where the pong does not come.

sub drain {
    my ($self) = @_;

    my $mark = 'mark' . ++$self->{marks};
    my @got;

    $self->send_frame(opcode => PING, payload => $mark);

    while (1) {
        my $f = $self->next_frame;

        return undef if !$f || $f->[0] eq 'eof' || $f->[0] == CLOSE;
        return \@got if $f->[0] == PONG && $f->[1] eq $mark;

        push @got, $f;
    }
}


sub nothing_waits {
    my ($self) = @_;

    my $got = $self->drain;

    return $got && !@$got;
}


# ---- the protocol

sub subscribe {
    my ($self, $channel) = @_;

    $self->send_event({ event => 'pusher:subscribe',
                        data => { auth => '', channel => $channel } });

    my $event = $self->next_event;

    die "subscribe: " . ($event->{raw} || join ' ', %$event)
        unless ($event->{event} || '')
               eq 'pusher_internal:subscription_succeeded';

    return $event;
}


sub unsubscribe {
    my ($self, $channel) = @_;

    $self->send_event({ event => 'pusher:unsubscribe',
                        data => { channel => $channel } });
}


sub data_of { return $json->decode($_[0]{data}) }


# Reads many connections at a time.  $cb->($ws, $frame) gets each frame, and
# [ 'eof' ]; the reading ends when $done->() is true or the time is over, and
# returns whether it was done.

sub read_all {
    my ($timeout, $sockets, $cb, $done) = @_;

    my $end = time() + $timeout * SCALE;
    my $select = IO::Select->new;
    my %ws;

    for my $ws (@$sockets) {
        next unless $ws->{socket};
        $select->add($ws->{socket});
        $ws{ fileno $ws->{socket} } = $ws;

        # what was read before
        $cb->($ws, $_) for splice(@{$ws->{frames}}), $ws->parse;
    }

    while (!$done->()) {
        return 0 if time() > $end;

        for my $s ($select->can_read(0.05)) {
            my $ws = $ws{ fileno $s };
            my $n = read_some($s, \$ws->{buffer});

            next unless defined $n;

            if ($n == 0) {
                $select->remove($s);
                $cb->($ws, [ 'eof' ]);
                next;
            }

            for my $f ($ws->parse) {
                if ($f->[0] == PING && $ws->{auto_pong}) {
                    $ws->send_frame(opcode => PONG, payload => $f->[1]);
                }

                $cb->($ws, $f);
            }
        }
    }

    return 1;
}


1;
