# Pipelined requests (P98): answers come in order, and none waits for a request
# that isn't here, or takes its time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Errno;
use Test::More;
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes qw(time);
use Socket qw(INADDR_LOOPBACK IPPROTO_TCP PF_INET SHUT_WR SOCK_STREAM
              SOL_SOCKET SO_RCVBUF sockaddr_in);

use Chat::API;
use Chat::HTTP qw(json_bytes);
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(APP_ID APP_KEY SCALE free_port slurp stop_worker
                    wait_for);

my $app = APP_ID;

# a short name, wherever the tree is: it may have 107 bytes
my $path = tempdir(CLEANUP => 1) . '/socket';

# takes connections, and answers nothing
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
    or die "listen: $@";
my $silent_port = $silent->sockport;

# its connections' kernel takes a few KB
my $small = free_port();

my $also = "listen unix:$path; listen 127.0.0.1:$small sndbuf=1;"
           . 'set_real_ip_from unix:; real_ip_header X-Real-IP;'
           . 'access_log logs/sent.log sent;';

my $http = 'log_format sent "$status $bytes_sent $http_x_test";';

my $t = Chat::Pusher->new(workers => 1, tls => 1, listen => 'sndbuf=64k',
                          app => 'client_events on;',
                          http => $http, server => $also,
                          more => <<"END_OF_MORE");
        location /apps/ { chat_api; }

        location = /messages {
            chat_history  chat app=$app;
            chat_publish  chat new_message app=$app;
        }

        location = /plain { return 200 "plain\\n"; }
        location = /drop { return 444; }
        location = /silent { proxy_pass http://127.0.0.1:$silent_port; }
END_OF_MORE

my $ws = $t->ws;
subscribe_to($ws, 'c');


sub trigger {
    my ($api, $data, %o) = @_;

    my $channel = delete $o{channel} || 'c';
    my $body = json_bytes({ name => 'e', channel => $channel,
                            data => "$data" });

    return $api->request_bytes('POST', 'events', body => $body, %o);
}


sub statuses {
    my ($api, $n) = @_;

    return join ' ', map { $api->http->read_response('POST')->{status} }
                         1 .. $n;
}


# Status and bytes of an answer, and of those that the access log has with a
# mark, once they are $n.

sub sent {
    my ($res) = @_;

    return "$res->{status} " . length "$res->{raw_head}\r\n$res->{body}";
}


sub logged {
    my ($mark, $n) = @_;

    my @lines;

    wait_for(10, sub {
        @lines = slurp($t->server->dir . '/logs/sent.log')
                 =~ /^(\d+ \d+) $mark$/mg;
        return @lines >= $n;
    });

    return join ', ', @lines;
}


sub arrive {
    my ($name, @data) = @_;

    is(join(' ', map { $ws->next_event->{data} } @data), "@data", $name);
}


# A client that takes next to nothing until it reads.

sub small_socket {
    my ($port) = @_;

    socket my $s, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
    setsockopt $s, SOL_SOCKET, SO_RCVBUF, 1 or die "SO_RCVBUF: $!";
    connect $s, sockaddr_in($port, INADDR_LOOPBACK) or die "connect: $!";

    return $s;
}


subtest 'many at a time' => sub {
    my $api = Chat::API->new(port => $t->port);
    my %mark = (headers => { 'X-Test' => 'many' });

    $api->http->send_raw(join '', map { trigger($api, $_, %mark) } 1 .. 100);
    is(statuses($api, 100), join(' ', (200) x 100), '100 are answered');
    arrive('their events, in order', 1 .. 100);

    $api->http->send_raw(trigger($api, 'last'));

    my $one = $api->http->read_response('POST');

    arrive('one more', 'last');
    is(logged('many', 100), join(', ', (sent($one)) x 100),
       'the access log has the bytes of each');
};


subtest 'an answer does not wait for the rest of the next request' => sub {
    my $api = Chat::API->new(port => $t->port);
    my $rounds = 40;
    my $rest = '';

    for my $n (1 .. $rounds) {
        my $next = trigger($api, "b$n");
        my $half = length($next) / 2;

        $api->http->send_raw($rest . trigger($api, "a$n")
                             . substr $next, 0, $half);
        $rest = substr $next, $half;

        # of this round's first and of the last one's second
        is(statuses($api, $n > 1 ? 2 : 1), $n > 1 ? '200 200' : '200',
           "answered, $n");
    }

    $api->http->send_raw($rest);
    is(statuses($api, 1), '200', 'the last');
    arrive('all events', map { ("a$_", "b$_") } 1 .. $rounds);
};


subtest 'what the client leaves half said costs no answer' => sub {
    my $api = Chat::API->new(port => $t->port);

    $api->http->send_raw(trigger($api, 'c1') . trigger($api, 'c2')
                         . "POST /apps/1/events?auth");
    shutdown $api->http->socket, SHUT_WR or die "shutdown: $!";

    is(statuses($api, 2), '200 200', 'both are answered');
    is($api->http->read_response('POST')->{status}, 0, 'no more is');
    arrive('both events', 'c1', 'c2');
};


# With bytes unread, close() takes along what the kernel has not sent.

subtest 'a connection that nginx closes costs no answer' => sub {
    my ($worker) = $t->server->worker_pids;
    my $unread = "GET /plain HTTP/1.1\r\nX: " . 'y' x 6000;
    my $get = sub { Chat::HTTP->format_request('GET', $_[0], {}) };

    for my $next ('/drop', '/silent') {
        my $api = Chat::API->new(port => $t->port);

        $api->http->send_raw(trigger($api, 'first'));
        is(statuses($api, 1), '200', 'one by itself');

        stop_worker($worker);
        $api->http->send_raw(trigger($api, 'second') . $get->($next)
                             . "$unread\r\n\r\n");
        shutdown $api->http->socket, SHUT_WR or die "shutdown: $!";
        kill 'CONT', $worker;

        is(statuses($api, 1), '200', "answered before $next");
        arrive('both events', 'first', 'second');
    }
};


# What nginx sends by other ways than its filters comes behind, too.

subtest 'before 100 Continue' => sub {
    my $api = Chat::API->new(port => $t->port);
    my ($head, $body) = trigger($api, 'later',
                                headers => { Expect => '100-continue' })
                        =~ /^(.*?\r\n\r\n)(.*)$/s;

    $api->http->send_raw(trigger($api, 'sooner') . $head);
    is(statuses($api, 2), '200 100', 'the answer, and a word for the next');

    $api->http->send_raw($body);
    is(statuses($api, 1), '200', 'which is answered, too');
    arrive('both events', 'sooner', 'later');
};


subtest 'before a WebSocket' => sub {
    my $api = Chat::API->new(port => $t->port);
    my $http = $api->http;
    my %mark = ('X-Test' => 'before');
    my $trigger = trigger($api, 'before', headers => \%mark);

    $http->send_raw($trigger . Chat::HTTP->format_request(
        'GET', '/app/' . APP_KEY . '?protocol=7', {
            %mark,
            'Connection'            => 'Upgrade',
            'Upgrade'               => 'websocket',
            'Sec-WebSocket-Version' => 13,
            'Sec-WebSocket-Key'     => 'dGhlIHNhbXBsZSBub25jZQ==',
        }));

    my @answers = map { $http->read_response('POST') } 1 .. 2;
    my $end = time() + 10 * SCALE;

    is("@{[map { $_->{status} } @answers]}", '200 101',
       'the answer, and the upgrade');

    while ($http->{buffer} !~ /pusher:connection_established/) {
        last if !$http->fill($end);
    }

    # opcode 1 and FIN, its length, its text
    like($http->{buffer},
         qr/^\x81.\{"event":"pusher:connection_established"/s,
         'then the first frame');
    arrive('the event', 'before');

    # each byte is one answer's
    $answers[1]{body} = $http->{buffer};

    is(logged('before', 2), join(', ', map { sent($_) } @answers),
       'the access log has their bytes');
};


subtest 'over a unix socket' => sub {
    my $api = Chat::API->new(port => $t->port);

    $api->http->{socket} = IO::Socket::UNIX->new(Peer => $path)
        or die "connect to $path: $!";

    # realip makes it look like another socket
    my %as = (headers => { 'X-Real-IP' => '192.0.2.1' });
    my $next = trigger($api, 'u3');

    $api->http->send_raw(trigger($api, 'u1', %as) . trigger($api, 'u2', %as)
                         . substr $next, 0, 100);
    is(statuses($api, 2), '200 200', 'two are answered');
    $api->http->send_raw(substr $next, 100);
    is(statuses($api, 1), '200', 'and the third');
    arrive('the events', 'u1', 'u2', 'u3');
};


subtest 'answers of all kinds, in order' => sub {
    my $api = Chat::API->new(port => $t->port);
    my $post = Chat::HTTP->format_request('POST', '/messages',
        { 'Content-Type' => 'application/json' }, '{"content":"stored"}');
    my $get = sub { Chat::HTTP->format_request('GET', $_[0], {}) };

    my @all = (
        [ trigger($api, 'd1'), 200, qr/^\{\}$/ ],
        [ $get->('/plain'), 200, qr/^plain$/ ],
        [ trigger($api, 'd2'), 200, qr/^\{\}$/ ],
        [ $post, 201, qr/"content":"stored"/ ],
        [ trigger($api, 'd3', after => { auth_key => 'x' }), 401, qr/\S/ ],
        [ $get->('/none'), 404, qr/404/ ],
        [ trigger($api, 'd4'), 200, qr/^\{\}$/ ],
        [ $get->('/messages'), 200, qr/^\[.*"stored".*\]$/ ],
        [ $api->request_bytes('GET', 'channels/c'), 200, qr/"occupied":true/ ],
        [ trigger($api, 'd5', headers => { Connection => 'close' }), 200,
          qr/^\{\}$/ ],
    );

    $api->http->send_raw(join '', map { $_->[0] } @all);

    for my $one (@all) {
        my $res = $api->http->read_response('POST');

        is($res->{status}, $one->[1], "a $one->[1]");
        like($res->{body}, $one->[2], 'with its body');
    }

    is($api->http->read_response('POST')->{status}, 0, 'then it is closed');
    arrive('the events', map { "d$_" } 1, 2, 4, 5);
};


subtest 'over TLS' => sub {
    my $api = Chat::API->new(port => $t->server->tls_port, tls => 1);

    $api->http->send_raw(join '', map { trigger($api, "t$_") } 1 .. 50);
    is(statuses($api, 50), join(' ', (200) x 50), '50 are answered');
    arrive('their events', map { "t$_" } 1 .. 50);
};


# Its kernel takes what comes first, and of the rest a part; what nginx takes
# for sent must be, before the connection is closed.

subtest 'a client that reads late' => sub {
    my $api = Chat::API->new(port => $t->port);
    my ($worker) = $t->server->worker_pids;
    my $n = 32;
    my @all = ((map { trigger($api, "r$_") } 1 .. $n),
               Chat::HTTP->format_request('GET', '/drop', {}));
    my $begun = substr $all[8], 0, 100;

    $api->http->{socket} = small_socket($small);

    for my $part (join('', @all[0 .. 7]) . $begun,
                  substr join('', @all[8 .. $#all]), length $begun)
    {
        stop_worker($worker);
        $api->http->send_raw($part);
        kill 'CONT', $worker;

        # it has done what it can do, and waits
        wait_for(10, sub { slurp("/proc/$worker/stat") =~ /\) S / })
            or die 'the worker does not wait';
    }

    is(statuses($api, $n), join(' ', (200) x $n), "$n are answered");
    is($api->http->read_response('GET')->{status}, 0, 'then it is closed');
    arrive('the events', map { "r$_" } 1 .. $n);
};


# The kernel takes what the client does not read until it is full; then nginx
# waits, and goes on where it was.

subtest 'a client that does not read' => sub {
    my $api = Chat::API->new(port => $t->port);
    my $socket = $api->http->socket;
    my $one = $api->request_bytes('GET', 'channels/none');
    my ($sent, $n) = (0, 0);
    my $all = $one x 1000;

    setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 65536)
        or die "SO_RCVBUF: $!";

    $socket->blocking(0);

    # until neither side takes any more, for a while
    while (IO::Select->new($socket)->can_write(0.5 * SCALE)) {
        my $put = syswrite $socket, $all, length($all) - $sent % length $all,
                           $sent % length $all;

        # a connection that is broken may be written to, too
        last if !defined $put && !$!{EAGAIN};

        $sent += $put if $put;
    }

    $n = int($sent / length $one);
    cmp_ok($n, '>', 1000, 'many are sent');

    my ($ok, $bad) = (0, 0);

    while ($ok + $bad < $n) {
        my $res = $api->http->read_response('GET');

        last if $res->{status} == 0;
        $res->{status} == 200 ? $ok++ : $bad++;
    }

    is($bad, 0, 'none is refused');
    is($ok, $n, 'all are answered');

    $socket->blocking(1);
    $api->http->send_raw(substr($one x 2, $sent % length $one)
                         . trigger($api, 'last'));
    is(statuses($api, 3), '200 200 200',
       'and so are those that follow');
    arrive('with the last event', 'last');
};


# It keeps no connection open, and closes some with bytes unread.

subtest 'a worker that leaves' => sub {
    my $leaving = Chat::Server->new(workers => 1,
                                    locations => 'location /apps/ { chat_api; }')
                  ->start;
    my ($old) = $leaving->worker_pids;
    my @apis = map { Chat::API->new(port => $leaving->port) } 1 .. 2;
    my @asked = map { trigger($apis[0], $_) } 'w1', 'w2';
    my $half = length($asked[0]) / 2;

    # it is not idle when the worker has read that, which it has before this
    $_->http->send_raw(substr $asked[0], 0, $half) for @apis;
    Chat::API->new(port => $leaving->port)->get('channels');
    $leaving->reload;

    $apis[0]->http->send_raw(substr($asked[0], $half));
    $apis[1]->http->send_raw(substr($asked[0], $half) . $asked[1]);

    for my $api (@apis) {
        is(statuses($api, 1), '200', 'what was begun is answered');
        is($api->http->read_response('POST')->{status}, 0, 'then it ends');
        $api->http->close;
    }

    wait_for(10, sub { !Chat::Server::is_alive($old) })
        or die 'the old worker stays';
    $leaving->finish;
};


# The answer leaves when the event has been handed to all sockets.

subtest 'behind the deliveries' => sub {
    my $api = Chat::API->new(port => $t->port);
    my @listeners = map { $t->ws } 1 .. 30;
    my $select = IO::Select->new(map { $_->socket } @listeners);
    my $rounds = 20;
    my $ready = 0;

    subscribe_to($_, 'many') for @listeners;

    for my $n (1 .. $rounds) {
        $api->http->send_raw(trigger($api, $n, channel => 'many'));
        is(statuses($api, 1), '200', "answered, $n");
        $ready += $select->can_read(0);

        is(join(' ', map { $_->next_event->{data} } @listeners),
           join(' ', ($n) x @listeners), 'all get it');
    }

    is($ready, $rounds * @listeners, 'all had it when the answer came');
};


$t->nothing('that is all', $ws);
$t->finish;
done_testing();
