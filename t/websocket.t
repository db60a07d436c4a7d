# RFC 6455: the handshake and the frames.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP;
use Chat::Server qw(APP_KEY);
use Chat::WebSocket qw(TEXT BINARY CONTINUATION CLOSE PING PONG);

my $server = Chat::Server->new(workers => 1)->start;
my ($worker) = $server->worker_pids;
my $port = $server->port;


sub open_ws { return Chat::WebSocket->established(port => $port, @_) }


sub raw_ws { return Chat::WebSocket->new(port => $port, @_) }


# The text of a command, and the channel its answer must bear.

my $channels = 0;


sub subscribe_text {
    my $channel = 'c' . ++$channels;

    return ($channel,
            "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":"
            . "\"$channel\"}}");
}


sub is_subscribed {
    my ($ws, $channel, $name) = @_;

    my $e = $ws->next_event;

    is($e->{channel} || $e->{raw} || join(' ', %$e), $channel,
       $name);
}


# Bytes that the server must answer with a close frame of that code, and by
# ending the connection.

sub closes {
    my ($code, $bytes, $name) = @_;

    my $ws = open_ws();

    $ws->send_raw($_) for ref $bytes ? @$bytes : $bytes;
    is($ws->wait_close, $code, "$name: $code");
}


sub frame { return Chat::WebSocket->frame(@_) }


subtest 'handshake: accepted' => sub {
    my %changes = (
        'as it is'              => sub { $_[0] },
        'Connection: two tokens' => sub {
            $_[0] =~ s/^Connection:.*?\r/Connection: keep-alive, Upgrade\r/mir
        },
        'names in upper case'   => sub {
            $_[0] =~ s/^(Upgrade|Connection|Sec-WebSocket-\w+):/\U$1:/mgir
        },
        'values in other case'  => sub {
            $_[0] =~ s/^Upgrade:.*?\r/Upgrade: WebSocket\r/mir
                  =~ s/^Connection:.*?\r/Connection: upgrade\r/mir
        },
        'an extension offered'  => sub {
            $_[0] =~ s/\r\n\r\n/\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n/r
        },
    );

    for my $name (sort keys %changes) {
        my $ws = open_ws(request => $changes{$name});

        ok($ws, $name);

        # permessage-deflate may be accepted only by one who speaks it
        is($ws->header('Sec-WebSocket-Extensions'), undef, 'no extension');
    }
};


subtest 'handshake: refused' => sub {
    my @cases = (
        [ 'POST', 405, sub { $_[0] =~ s/^GET/POST/r
                             =~ s/\r\n\r\n/\r\nContent-Length: 0\r\n\r\n/r } ],
        [ 'HEAD', 405, sub { $_[0] =~ s/^GET/HEAD/r } ],
        [ 'no Upgrade', 426, sub { $_[0] =~ s/^Upgrade:.*?\r\n//mir
                                   =~ s/^Connection:.*?\r\n//mir } ],
        [ 'another Upgrade', 426,
          sub { $_[0] =~ s/^Upgrade:.*?\r/Upgrade: h2c\r/mir } ],
        [ 'version 8', 426, sub { $_[0] =~ s/(Version): 13/$1: 8/ir } ],
        [ 'version 14', 426, sub { $_[0] =~ s/(Version): 13/$1: 14/ir } ],
        [ 'no version', 426,
          sub { $_[0] =~ s/^Sec-WebSocket-Version:.*?\r\n//mir } ],
        [ 'no key', 400, sub { $_[0] =~ s/^Sec-WebSocket-Key:.*?\r\n//mir } ],
        [ 'an empty key', 400,
          sub { $_[0] =~ s/^(Sec-WebSocket-Key:).*?\r/$1 \r/mir } ],
        [ 'a key that is no base64', 400,
          sub { $_[0] =~ s/^(Sec-WebSocket-Key:).*?\r/$1 !!!!!!!!!!!!!!!!!!!!!!==\r/mir } ],
        [ 'a key of 15 bytes', 400,
          sub { $_[0] =~ s/^(Sec-WebSocket-Key:).*?\r/$1 AAAAAAAAAAAAAAAAAAAA\r/mir } ],
        [ 'a key of 17 bytes', 400,
          sub { $_[0] =~ s/^(Sec-WebSocket-Key:).*?\r/$1 AAAAAAAAAAAAAAAAAAAAAAA=\r/mir } ],
    );

    for (@cases) {
        my ($name, $status, $change) = @$_;
        my $ws = raw_ws(request => $change);

        is($ws->{status}, $status, "$name: $status");
        like($ws->header('Sec-WebSocket-Version') || '', qr/\b13\b/,
             "$name: Sec-WebSocket-Version: 13") if $name =~ /version/;
        like($ws->header('Allow') || '', qr/\bGET\b/, "$name: Allow")
            if $status == 405;
    }

    my $http = Chat::HTTP->new(port => $port);
    is($http->get('/app/' . APP_KEY)->{status}, 426, 'a plain GET: 426');
    is($http->get('/app/' . APP_KEY)->{status}, 426, 'twice on a connection');
};


subtest 'frames sent with the handshake' => sub {
    my ($a, $first) = subscribe_text();
    my ($b, $second) = subscribe_text();

    my $ws = open_ws(extra => frame(payload => $first)
                              . frame(payload => $second));

    is_subscribed($ws, $a, 'the first');
    is_subscribed($ws, $b, 'the second');

    my $long = frame(payload => '{"event":"pusher:ping","data":{"p":"'
                                . 'x' x 20000 . '"}}');
    $ws = open_ws(extra => $long);
    is($ws->next_event->{event}, 'pusher:pong', 'a long one');

    my ($c, $third) = subscribe_text();
    my $bytes = frame(payload => $third);
    $ws = open_ws(extra => substr($bytes, 0, 7));
    $ws->send_raw(substr $bytes, 7);
    is_subscribed($ws, $c, 'the beginning of one');
};


subtest 'fragments' => sub {
    my $ws = open_ws();
    my ($c, $text) = subscribe_text();

    $ws->send_raw(frame(fin => 0, payload => substr $text, 0, 5));
    $ws->send_raw(frame(opcode => PING, payload => 'between'));
    is($ws->next_frame->[1], 'between', 'a Ping between is answered at once');
    $ws->send_raw(frame(fin => 0, opcode => 0, payload => ''));
    $ws->send_raw(frame(opcode => PONG, payload => 'unasked'));
    $ws->send_raw(frame(fin => 0, opcode => 0, payload => substr $text, 5, 9));
    $ws->send_raw(frame(fin => 1, opcode => 0, payload => substr $text, 14));
    is_subscribed($ws, $c, 'with control frames between');

    ($c, $text) = subscribe_text();
    $ws->send_raw(frame(fin => 0, payload => '')
                  . frame(fin => 0, opcode => 0, payload => $text)
                  . frame(fin => 1, opcode => 0, payload => ''));
    is_subscribed($ws, $c, 'empty fragments around it');

    ($c, $text) = subscribe_text();
    my @bytes = split //, $text;
    $ws->send_raw(join '', map {
        frame(fin => $_ == $#bytes, opcode => $_ ? 0 : TEXT,
              payload => $bytes[$_])
    } 0 .. $#bytes);
    is_subscribed($ws, $c, 'a fragment for each byte, in one packet');

    ok($ws->nothing_waits, 'nothing else is sent');
};


subtest 'packets' => sub {
    my $ws = open_ws();
    my ($c, $text) = subscribe_text();

    $ws->send_raw($_) for split //, frame(payload => $text);
    is_subscribed($ws, $c, 'byte by byte');

    my $long = frame(payload => '{"event":"pusher:ping","data":{"p":"'
                                . 'x' x 300 . '"}}');
    $ws->send_raw($_) for split //, $long;
    is($ws->next_event->{event}, 'pusher:pong',
       'byte by byte, a length of two bytes');

    my @many = map { [ subscribe_text() ] } 1 .. 300;
    $ws->send_raw(join '', map { frame(payload => $_->[1]) } @many);
    is(join(' ', map { $ws->next_event->{channel} } @many),
       join(' ', map { $_->[0] } @many), '300 frames in one packet');

    # every length that is written in its own way
    for my $size (125, 126, 127, 65535, 65536) {
        my $msg = '{"event":"pusher:ping","p":"';
        $msg .= 'x' x ($size - length($msg) - 2) . '"}';
        $ws->send_text($msg);
        is($ws->next_event->{event}, 'pusher:pong', "a message of $size bytes");
    }

    ok($ws->nothing_waits, 'nothing else is sent');
};


subtest 'Ping and Pong' => sub {
    my $ws = open_ws();

    for my $payload ('', 'x', "\xff\xfe\x00", 'y' x 125) {
        $ws->send_frame(opcode => PING, payload => $payload);
        my $f = $ws->next_frame;
        is($f->[0], PONG, length($payload) . ' bytes: a Pong');
        ok($f->[1] eq $payload, 'the same payload');
    }

    $ws->send_raw(join '', map { frame(opcode => PING, payload => "p$_") }
                           1 .. 100);
    my @got = map { $ws->next_frame->[1] } 1 .. 100;
    is("@got", join(' ', map { "p$_" } 1 .. 100), '100 in one packet, in order');

    $ws->send_frame(opcode => PONG, payload => 'unasked');
    ok($ws->nothing_waits, 'an unasked Pong has no answer');
};


subtest 'closing' => sub {
    for my $code (1000, 1001, 1002, 1003, 1007 .. 1011, 3000, 3999, 4000,
                  4999)
    {
        my $ws = open_ws();
        $ws->send_close($code, 'bye');

        my $f = $ws->next_frame;

        is($f->[0], CLOSE, "$code: a close frame comes back");
        is(unpack('n', $f->[1]), $code, "$code: with that code");
        is($ws->next_frame->[0], 'eof', "$code: the server ends first");
    }

    my $ws = open_ws();
    $ws->send_close();
    like($ws->wait_close, qr/^(?:1000|1005)$/, 'without a code');

    $ws = open_ws();
    my ($c, $text) = subscribe_text();
    $ws->send_raw(frame(opcode => CLOSE, payload => pack 'n', 1000)
                  . frame(payload => $text)
                  . frame(opcode => PING, payload => 'late'));
    is($ws->next_frame->[0], CLOSE, 'frames behind a close');
    is($ws->next_frame->[0], 'eof', 'are not answered');
};


subtest '1002: close frames' => sub {
    closes(1002, frame(opcode => CLOSE, payload => 'x'), 'a payload of a byte');
    closes(1002, frame(opcode => CLOSE, payload => pack 'n', $_), "code $_")
        for 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000,
            65535;
    closes(1007, frame(opcode => CLOSE, payload => pack('n', 1000) . "\xff"),
           'a reason that is not UTF-8');
    closes(1007, frame(opcode => CLOSE,
                       payload => pack('n', 1000) . "caf\xc3"),
           'a reason cut inside a character');
};


subtest '1002: frames' => sub {
    closes(1002, frame(rsv => $_, payload => '{}'), "reserved bits $_")
        for 1, 2, 4, 7;
    closes(1002, frame(rsv => 4, opcode => PING), 'reserved bit of a Ping');
    closes(1002, frame(opcode => $_), "opcode $_") for 3 .. 7, 11 .. 15;
    closes(1002, frame(masked => 0, payload => '{"event":"pusher:ping"}'),
           'unmasked');
    closes(1002, frame(masked => 0), 'unmasked and empty');
    closes(1002, frame(masked => 0, opcode => PING), 'unmasked Ping');
    closes(1002, frame(fin => 0, opcode => PING), 'fragmented Ping');
    closes(1002, frame(fin => 0, opcode => CLOSE), 'fragmented close');
    closes(1002, frame(opcode => PING, payload => 'x' x 126),
           'Ping of 126 bytes');
    closes(1002, frame(opcode => CLOSE, payload => pack('n', 1000) . 'x' x 124),
           'close of 126 bytes');
    closes(1002, frame(opcode => 0, payload => 'x'),
           'a continuation of nothing');
    closes(1002, [ frame(fin => 0, payload => '{'), frame(payload => '{}') ],
           'a message inside a message');
    closes(1002, [ frame(fin => 0, payload => '{'),
                   frame(fin => 1, opcode => 0, payload => '}'),
                   frame(fin => 1, opcode => 0, payload => '}') ],
           'a continuation behind the end');
    closes(1002, "\x81\xfe" . pack('n', 5) . "\0\0\0\0hello",
           '5 bytes, length in two');
    closes(1002, "\x81\xff" . pack('Q>', 5) . "\0\0\0\0hello",
           '5 bytes, length in eight');
    closes(1002, "\x81\xff" . pack('Q>', 65535) . "\0\0\0\0",
           '65535 bytes, length in eight');
    closes(1002, "\x81\xff\x80" . "\0" x 7 . "\0\0\0\0", 'length beyond 2^63');
    closes(1002, 'GET / HTTP/1.1' . "\r\n" x 2, 'no frames at all');
};


subtest '1003: binary' => sub {
    closes(1003, frame(opcode => BINARY, payload => '{"event":"pusher:ping"}'),
           'a binary message');
    closes(1003, frame(opcode => BINARY, fin => 0, payload => 'x'),
           'its first fragment');
    closes(1003, frame(opcode => BINARY), 'an empty one');
};


subtest 'UTF-8' => sub {
    my $ws = open_ws();

    # three bytes of a character in three fragments, in the name of an event
    my $text = "{\"event\":\"\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4\"}";

    $ws->send_raw(join '', map {
        frame(fin => $_ == length($text) - 1, opcode => $_ ? 0 : TEXT,
              payload => substr $text, $_, 1)
    } 0 .. length($text) - 1);

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:error', 'characters across fragments are fine');
    ok($ws->nothing_waits, 'the connection lives');

    my %bad = (
        'a stray byte'         => "\x80",
        'fe'                   => "\xfe",
        'ff'                   => "\xff",
        'overlong, 2'          => "\xc0\xaf",
        'overlong, 3'          => "\xe0\x80\xaf",
        'overlong, 4'          => "\xf0\x80\x80\xaf",
        'a surrogate'          => "\xed\xa0\x80",
        'above U+10FFFF'       => "\xf4\x90\x80\x80",
        'five bytes'           => "\xf8\x88\x80\x80\x80",
        'cut short'            => "\xe2\x82",
        'a character too few'  => "\xe2\x82x",
        'latin 1'              => "caf\xe9 ",
    );

    for (sort keys %bad) {
        closes(1007, frame(payload => "{\"event\":\"$bad{$_}\"}"), $_);
        closes(1007, frame(payload => $bad{$_}), "$_, alone");
    }

    closes(1007, [ frame(fin => 0, payload => "{\"event\":\"\xe2"),
                   frame(fin => 1, opcode => 0, payload => "x\"}") ],
           'wrong across fragments');
    closes(1007, [ frame(fin => 0, payload => "{\"event\":\"\xe2\x82"),
                   frame(fin => 1, opcode => 0, payload => '') ],
           'incomplete at the end');
    closes(1007, frame(fin => 0, payload => "{\"event\":\"\xff"),
           'seen before the message ends');
};


subtest '1009: size' => sub {
    # none of the bytes ever comes
    closes(1009, "\x81\xff" . pack('Q>', $_) . "\0\0\0\0", "$_ bytes announced")
        for 16 * 1024 * 1024, 2**31, 2**32, 2**40, 2**62;

    my $ws = open_ws();
    my $sent = 0;

    # 64 MiB would be, if there were no limit; SIGPIPE or a full buffer end it
    $ws->send_frame(fin => 0, payload => '{"event":"' . 'x' x 60000);
    while ($sent < 64 * 1024 * 1024) {
        last if IO::Select->new($ws->socket)->can_read(0);
        last unless $ws->send_frame(fin => 0, opcode => 0,
                                    payload => 'x' x 60000);
        $sent += 60000;
    }

    my $f = $ws->next_frame;
    is($f->[0] eq CLOSE && unpack('n', $f->[1]), 1009, 'by its fragments');

    my $many = open_ws();
    $many->send_raw(frame(fin => 0, payload => '')
                    . frame(fin => 0, opcode => 0) x 20000);
    ok($many->nothing_waits, '20000 empty fragments cost nothing');
};


subtest 'ends without a close' => sub {
    for my $bytes ('', "\x81", "\x81\xfe\x01", frame(fin => 0, payload => '{'),
                   "\x81\xfe" . pack('n', 1000) . 'mask' . 'x' x 100)
    {
        my $ws = open_ws();
        $ws->subscribe('gone');
        $ws->send_raw($bytes);
        $ws->disconnect;
    }

    ok(open_ws()->subscribe('gone'), 'the worker goes on');
};


is(join(' ', $server->worker_pids), $worker, 'it is the same worker');

$server->finish;

done_testing();
