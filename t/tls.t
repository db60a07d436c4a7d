# TLS and HTTP/2: the same endpoints, the same events.  Through TLS bytes take
# another way out of nginx (a buffer of its own, records, writes that must be
# repeated), so what waits for a slow reader is shown for it on its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;

use Chat::HTTP qw(from_json json_bytes);
use Chat::Server qw(APP_KEY SCALE slurp spew wait_for);
use Chat::TLS qw(start_tls);
use Chat::WebSocket qw(TEXT read_all data_of);

my $server = Chat::Server->new(
    tls       => 1,
    listen    => 'sndbuf=32k',
    http      => <<'END',
    chat_app 2 {
        key      onlytls;
        secret   thisisnotthesecretofanyone;
        tls_only on;
    }
END
    locations => <<'END')->start;
        location = /messages {
            chat_history  chat app=17536051;
            chat_publish  chat new_message app=17536051;
        }

        location = /cached {
            chat_publish  cache-$arg_n new_message app=17536051;
        }

        location = /only {
            chat_publish  chat new_message app=2;
        }

        location /app/ { chat_websocket; }

        location /small/app/ {
            chat_send_buffer 4k;
            chat_websocket;
        }

        location /medium/app/ {
            chat_send_buffer 64k;
            chat_websocket;
        }

        location /at-once/app/ {
            postpone_output 0;
            chat_websocket;
        }

        location = /chat_status { chat_status; }
END
my ($plain_port, $tls_port) = ($server->port, $server->tls_port);
my $http = Chat::HTTP->new(port => $plain_port);
my $https = Chat::HTTP->new(port => $tls_port, tls => 1);


sub open_ws {
    my ($tls, %args) = @_;

    my $ws = Chat::WebSocket->established(
        port => $tls ? $tls_port : $plain_port, tls => $tls, %args);

    $ws->subscribe('chat');

    return $ws;
}


sub slow_ones {
    return from_json($http->get('/chat_status')->{body})
               ->{slow_subscribers_closed};
}


# Posts over several connections at a time; returns the bodies of the answers,
# in the order of their ids.

sub post_together {
    my ($count, $size) = @_;

    my @http = map { Chat::HTTP->new(port => $plain_port) } 1 .. $count;

    $_->send_raw(Chat::HTTP->format_request('POST', '/messages',
        { 'Content-Type' => 'application/json' },
        json_bytes({ content => 'x' x $size }))) for @http;

    my %body = map {
        my $res = $_->read_response('POST');

        die "POST: $res->{status}" unless $res->{status} == 201;
        from_json($res->{body})->{id} => $res->{body};
    } @http;

    return @body{ sort { $a <=> $b } keys %body };
}


subtest 'one conversation' => sub {
    my ($plain, $tls) = map { open_ws($_) } 0, 1;

    is($tls->{status}, 101, 'a handshake over TLS');
    like($tls->socket_id, qr/^\d+\.\d+$/, 'and a socket id');

    for my $from ($http, $https) {
        my $name = $from == $https ? 'posted over TLS' : 'posted';
        my $res = $from->post('/messages', { content => $name });

        is($res->{status}, 201, "$name: 201");
        is($_->next_event->{data}, $res->{body}, "$name: an event")
            for $plain, $tls;
    }

    my $res = $https->post('/messages', { content => 'not to me',
                                          socket_id => $tls->socket_id });
    is($plain->next_event->{data}, $res->{body}, 'an event for the others');
    ok($tls->nothing_waits, 'none for whoever posted it');

    is($https->get('/messages')->{body}, $http->get('/messages')->{body},
       'history over TLS');

    $tls->unsubscribe('chat');
    $tls->drain;
    $https->post('/messages', { content => 'over' });
    is(data_of($plain->next_event)->{content}, 'over', 'one more event');
    ok($tls->nothing_waits, 'not after unsubscribe');

    $tls->send_close(1000);
    is($tls->wait_close, 1000, 'a close over TLS');
    $plain->disconnect;
};


subtest 'an answer that nginx does not hold back' => sub {
    for my $tls (0, 1) {
        my $ws = open_ws($tls, path => '/at-once/app/' . APP_KEY
                                       . '?protocol=7');
        my $res = $http->post('/messages', { content => 'at once' });

        is($ws->next_event->{data}, $res->{body},
           'an event' . ($tls ? ' over TLS' : ''));
        $ws->disconnect;
    }
};


subtest 'events longer than chat_send_buffer' => sub {
    my $path = '/small/app/' . APP_KEY . '?protocol=7';
    my $slow = slow_ones();
    my @all = map { open_ws($_, path => $path) } 0, 1, 0, 1;

    # one by one, and some in one turn of the worker's
    for my $count (1, 1, 5, 5) {
        my @bodies = post_together($count, 9000);

        for my $ws (@all) {
            my @got = map { $ws->next_event->{data} } @bodies;

            ok(!grep({ ref $got[$_] || ($got[$_] || '') ne $bodies[$_] }
                     0 .. $#bodies),
               "$count of 9 KB: to a reader"
               . ($ws->{tls} ? ' over TLS' : ''));
        }
    }

    is(slow_ones(), $slow, 'none is taken for slow');
    $_->disconnect for @all;
};


# What waits is sent in parts, as the client reads: nothing is lost between
# them, nothing sent twice.

subtest 'one who reads late' => sub {
    my ($rounds, $posters, $size) = (50, 8, 1500);
    my $messages = $rounds * $posters;
    my $slow = slow_ones();
    my @all = map { open_ws($_, rcvbuf => 4096) } 0, 1;
    my @ids = map { from_json($_)->{id} }
              map { post_together($posters, $size) } 1 .. $rounds;

    for my $ws (@all) {
        my $name = $ws->{tls} ? 'over TLS' : 'without TLS';
        my (@got, $other);

        my $done = read_all(20, [ $ws ], sub {
            my (undef, $f) = @_;
            my ($id) = $f->[0] eq TEXT
                       ? $f->[1] =~ /"data":"\{\\"id\\":(\d+),/ : ();

            return push @got, $id if defined $id;
            $other ||= "$f->[0] " . ($f->[1] || '');
        }, sub { @got >= $messages || $other });

        ok($done, "$name: all can be read later");
        is($other, undef, "$name: there is nothing else");
        is("@got", "@ids", "$name: each, in order");
        ok($ws->nothing_waits, "$name: the connection goes on");
        $ws->disconnect;
    }

    is(slow_ones(), $slow, 'none is taken for slow');
};


# The answers to frames that came with the request may be more than the socket
# takes, when the request is given back.

subtest 'frames that come with the request' => sub {
    my @channels = 1 .. 8;
    my @bodies = map {
        my $res = $http->post("/cached?n=$_", { content => $_ x 9000 });

        is($res->{status}, 201, "cache-$_: a message");
        $res->{body};
    } @channels;

    for my $tls (0, 1) {
        my $name = $tls ? 'over TLS' : 'without TLS';
        my $ws = Chat::WebSocket->established(
            port   => $tls ? $tls_port : $plain_port,
            tls    => $tls,
            rcvbuf => 4096,
            extra  => join '', map {
                Chat::WebSocket->frame(payload => '{"event":'
                    . '"pusher:subscribe","data":{"channel":"cache-'
                    . $_ . '"}}')
            } @channels);
        my @got;

        for (@channels) {
            my $e = $ws->next_event;

            is($e->{event}, 'pusher_internal:subscription_succeeded',
               "cache-$_: a subscription, $name");
            push @got, $ws->next_event->{data};
        }

        is_deeply(\@got, \@bodies, "each cached event is whole, $name");
        ok($ws->nothing_waits, "and there is nothing else, $name");
        $ws->disconnect;
    }
};


# What is dropped must not be a part of a record that is on its way: with events
# that are longer than the queue, and with many small ones, of which the client
# reads some, so that records of many are begun.

for my $case ([ 'small', 5000, 0 ], [ 'medium', 200, 20 ]) {
    my ($location, $size, $every) = @$case;

    subtest "one who reads too late, events of $size bytes" => sub {
        my $ws = open_ws(1, path => "/$location/app/" . APP_KEY
                                    . '?protocol=7', rcvbuf => 4096);
        my $reader = open_ws(1);
        my $slow = slow_ones();
        my ($n, @numbers) = 0;

        my $next = sub {
            my $e = $ws->next_event;

            if (($e->{event} || '') eq 'new_message') {
                push @numbers, data_of($e)->{content} =~ /^(\d+)x{$size}$/;
            }

            return $e;
        };

        while (slow_ones() == $slow && $n < 3000) {
            my $res = $http->post('/messages',
                                  { content => ++$n . 'x' x $size });

            die "event $n" unless $reader->next_event->{data} eq $res->{body};

            $next->() if $every && $n % $every == 0;
        }

        cmp_ok($n, '<', 3000, 'is told to reconnect, over TLS, too');

        my $e = $next->();

        $e = $next->() while ($e->{event} || '') eq 'new_message';
        $e = $next->() if ($e->{event} || '') eq 'pusher:error';

        is($e->{close}, 4200, 'with 4200');
        cmp_ok(scalar @numbers, '<', $n, 'without the rest');
        is("@numbers", join(' ', 1 .. @numbers), 'after a beginning of all');
        $ws->send_close(4200);
        is($ws->next_frame->[0], 'eof', 'and the connection ends');
        ok($reader->nothing_waits, 'the other one reads on');

        $_->disconnect for $ws, $reader;
    };
}


# P10

subtest 'an app for TLS only' => sub {
    my $path = '/app/onlytls?protocol=7';
    my $ws = Chat::WebSocket->new(port => $plain_port, path => $path);

    is($ws->{status}, 101, 'without TLS: the handshake is done');

    my $e = $ws->next_event;

    is($e->{event}, 'pusher:error', 'but then there is an error');
    is($e->{data}{code}, 4000, 'of code 4000');
    is($ws->wait_close, 4000, 'and the close has it, too');

    $ws = Chat::WebSocket->established(port => $tls_port, tls => 1,
                                       path => $path);
    ok($ws->subscribe('chat'), 'with TLS: a subscription');

    my $res = $http->post('/only', { content => 'yes' });

    is($res->{status}, 201, 'a message');
    is($ws->next_event->{data}, $res->{body}, 'and its event');
    $ws->disconnect;
};


# curl's own client of HTTP/2: (what it wrote by --write-out, body)

my $curls = 0;

sub curl {
    my ($path, @args) = @_;

    my $out = $server->dir . '/tmp/curl-' . ++$curls;

    open my $fh, '-|', 'curl', '--silent', '--show-error', '--insecure',
         '--http2', '--max-time', 10 * SCALE, '--output', $out,
         '--write-out', '%{http_code} HTTP/%{http_version}', @args,
         "https://127.0.0.1:$tls_port$path"
        or die "curl: $!";

    my $text = <$fh>;

    close $fh;
    $text .= ' exit ' . ($? >> 8) if $?;

    return ($text, -f $out ? slurp($out) : '');
}


subtest 'HTTP/2' => sub {
    my $ws = open_ws(1);

    # of one frame, and of many
    for my $size (10, 9000) {
        my $body = $server->dir . "/tmp/body-$size";

        spew($body, json_bytes({ content => 'h' x $size }));

        my ($status, $text) = curl('/messages', '--data-binary', "\@$body",
                                   '-H', 'Content-Type: application/json');

        is($status, '201 HTTP/2', "POST of $size bytes");
        is($ws->next_event->{data}, $text, 'its event');
    }

    my ($status, $text) = curl('/messages?limit=3');

    is($status, '200 HTTP/2', 'GET');
    is($text, $http->get('/messages?limit=3')->{body}, 'the same as ever');

    ($status) = curl('/messages', '--head');
    is($status, '200 HTTP/2', 'HEAD');

    ($status) = curl('/messages', '-X', 'DELETE');
    is($status, '405 HTTP/2', 'another method');

    ($status) = curl('/messages', '-d', '{', '-H',
                     'Content-Type: application/json');
    is($status, '400 HTTP/2', 'bad JSON');

    # headers of a connection would make this an error of the stream
    ($status, $text) = curl('/app/' . APP_KEY . '?protocol=7');
    is($status, '426 HTTP/2', 'GET where a WebSocket is expected');
    like($text, qr/^\{"error":".*WebSocket/, 'with an error in JSON');

    ($status) = curl('/app/' . APP_KEY, '-X', 'POST');
    is($status, '405 HTTP/2', 'POST there');

    ok($ws->nothing_waits, 'no more events');
    $ws->disconnect;
};


ok(wait_for(5, sub {
       from_json($http->get('/chat_status')->{body})->{connections} == 0;
   }),
   'all connections have ended');

$server->finish;


# What a subscriber costs beside a connection that has only done the handshake
# of TLS: nginx's buffer for TLS would be 16 KB.  The sanitizers and valgrind
# keep back what is freed.

subtest 'what an idle connection costs' => sub {
    my $fresh = Chat::Server->new(workers => 1, tls => 1)->start;
    my ($worker) = $fresh->worker_pids;
    my $most = $ENV{CHAT_ASAN} || SCALE > 1 ? 200_000 : 6_000;

    my $subscribers = sub {
        return map {
            my $ws = Chat::WebSocket->established(port => $fresh->tls_port,
                                                  tls => 1);

            $ws->subscribe('chat');
            $ws;
        } 1 .. $_[0];
    };

    my $others = sub {
        return map {
            start_tls(IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                            PeerPort => $fresh->tls_port));
        } 1 .. $_[0];
    };

    # what a worker takes once is not the subject
    my @subscribers = $subscribers->(20);
    my @others = $others->(20);
    my @memory = $fresh->worker_memory($worker);

    push @others, $others->(250);
    push @memory, $fresh->worker_memory($worker);
    push @subscribers, $subscribers->(250);
    push @memory, $fresh->worker_memory($worker);

    cmp_ok(($memory[2] - 2 * $memory[1] + $memory[0]) / 250, '<', $most,
           'bytes more than without a subscription');

    $_->disconnect for @subscribers;
    close $_ for @others;
    $fresh->finish;
};

done_testing();
