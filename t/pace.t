# Publishers that are faster than deliveries: they wait, and nobody is
# overrun.  More than the ring holds is sent to a worker, over connections
# that pipeline; each subscriber gets all of it, each connection's in order.
# What waits is done also by a worker that leaves.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Chat::API;
use Chat::HTTP qw(from_json json_bytes);
use Chat::Server qw(SCALE wait_for slurp);
use Chat::WebSocket qw(TEXT read_all);


sub server {
    return Chat::Server->new(workers => 1, zone => '1m', tls => 1, @_,
                             server => 'chat_send_buffer 64m; '
                                       . 'location /apps/ { chat_api; }')
                       ->start;
}


sub subscribers {
    my ($server, $n) = @_;

    return map {
        my $ws = Chat::WebSocket->established(port => $server->port);

        $ws->subscribe('chat');
        $ws->{got} = {};
        $ws->{n} = 0;
        $ws;
    } 1 .. $n;
}


# For read_all(): each connection's events; whatever else comes is an end.

sub take {
    my ($ws, $f) = @_;

    if ($f->[0] eq TEXT && $f->[1] =~ /"(\d+):(\d+):x/) {
        push @{ $ws->{got}{$1} }, $2;
        $ws->{n}++;
        return;
    }

    $ws->{end} ||= $f->[0] eq 'eof' ? 'end of the connection'
                                    : "frame $f->[0]: $f->[1]";
}


# Sends each connection's bytes as it takes them, and reads answers all the
# while; how many there are of each status.

sub pump {
    my ($answers, @conns) = @_;

    my $end = time() + 60 * SCALE;
    my %conn = map { fileno($_->{socket}) => $_ } @conns;
    my @sockets = map { $_->{socket} } @conns;
    my $reading = IO::Select->new(@sockets);
    my $writing = IO::Select->new(@sockets);

    $_->blocking(0) for @sockets;

    while ($reading->count && time() < $end) {
        my ($r, $w) = IO::Select->select($reading, $writing, undef, 1);

        for my $s (@{ $w || [] }) {
            my $c = $conn{ fileno $s };
            my $n = syswrite $s, $c->{out}, 65536;

            substr($c->{out}, 0, $n) = '' if $n;
            $writing->remove($s) if $c->{out} eq '';
        }

        for my $s (@{ $r || [] }) {
            my $c = $conn{ fileno $s };
            my $n = sysread $s, $c->{in}, 65536, length $c->{in};
            my $seen = () = $c->{in} =~ m{HTTP/1\.1 \d}g;

            $reading->remove($s)
                if $seen == $answers || (defined $n && $n == 0);
        }
    }

    my %count;

    $count{$_}++ for map { $_->{in} =~ m{HTTP/1\.1 (\d+)}g } @conns;

    return join ', ', map { "$count{$_} x $_" } sort keys %count;
}


# Floods a server from so many connections, each with so many requests that
# have so many bytes, while subscribers read.  connect() makes the k-th
# connection's socket, request(k, data) the bytes of a request of it.

sub flood {
    my ($server, %f) = @_;

    my @all = subscribers($server, $f{subscribers});
    my $events = $f{connections} * $f{each};
    my @conns = map {
        my $k = $_;

        { in => '', socket => $f{connect}->($k),
          out => join '', map { $f{request}->($k, "$k:$_:" . 'x' x $f{size}) }
                              1 .. $f{each} };
    } 1 .. $f{connections};

    my $pid = open my $pump, '-|';

    die "fork: $!" if !defined $pid;

    if (!$pid) {
        print pump($f{each}, @conns);
        close STDOUT;
        POSIX::_exit(0);
    }

    ok(read_all(60, \@all, \&take, sub {
           return !grep { !$_->{end} && $_->{n} < $events } @all;
       }), 'all that came in time');

    is(scalar <$pump>, "$events x $f{status}", 'each request is answered');

    my %ends;
    my $sent = join ' ', 1 .. $f{each};

    $ends{ $_->{end} }++ for grep { $_->{end} } @all;

    is(join(', ', map { "$ends{$_} x $_" } sort keys %ends), '',
       'nobody is sent away');
    is(scalar(grep {
           my $got = $_->{got};

           $f{connections} == grep { "@{ $got->{$_} || [] }" eq $sent }
                                   1 .. $f{connections};
       } @all), $f{subscribers},
       'each subscriber has all events, those of a connection in order');

    my $res = Chat::HTTP->new(port => $server->port)->get('/chat_status');

    is(from_json($res->{body})->{overruns}, 0, 'nothing was overrun');

    return;
}


for my $tls (0, 1) {
    subtest $tls ? 'triggers over TLS' : 'triggers' => sub {
        my $server = server();
        my $port = $tls ? $server->tls_port : $server->port;
        my @apis = map { Chat::API->new(port => $port, tls => $tls) } 1 .. 8;

        flood($server,
            subscribers => 20, connections => 8, each => 500, size => 200,
            status  => 200,
            connect => sub { $apis[$_[0] - 1]->http->socket },
            request => sub {
                my ($k, $data) = @_;

                return $apis[$k - 1]->request_bytes('POST', 'events',
                    body => json_bytes({ name => 'e', channel => 'chat',
                                         data => $data }));
            });
        $server->finish;
    };
}


subtest 'messages' => sub {
    my $server = server();
    my @https;

    flood($server,
        subscribers => 50, connections => 100, each => 10, size => 2000,
        status  => 201,
        connect => sub {
            push @https, Chat::HTTP->new(port => $server->port);
            return $https[-1]->socket;
        },
        request => sub {
            return Chat::HTTP->format_request('POST', '/messages',
                { 'Content-Type' => 'application/json' },
                json_bytes({ content => $_[1] }));
        });
    $server->finish;
};


# More than it does at once comes whole while it is stopped, and so does the
# word that it is to leave.  (nginx's log of timers looks at what they have.)

subtest 'a worker that leaves' => sub {
    my $server = server(main => 'error_log logs/debug.log debug;');
    my ($worker) = $server->worker_pids;
    my @apis = map { Chat::API->new(port => $server->port) } 1 .. 200;
    my @asked = map {
        $_->request_bytes('POST', 'events',
            body => json_bytes({ name => 'e', channel => 'chat',
                                 data => 'x' x 8000 }));
    } @apis;

    # the worker has read so much before it answers this
    $apis[$_]->http->send_raw(substr $asked[$_], 0, -1) for 0 .. $#apis;
    Chat::API->new(port => $server->port)->get('channels');

    kill 'STOP', $worker;
    wait_for(10, sub { slurp("/proc/$worker/stat") =~ /\) T / })
        or die 'the worker does not stop';

    $apis[$_]->http->send_raw(substr $asked[$_], -1) for 0 .. $#apis;
    kill 'QUIT', $server->master_pid;
    wait_for(10, sub { $server->error_log =~ /SIGQUIT\) received/ })
        or die 'the master is not told';
    kill 'CONT', $worker;

    is(scalar(grep { $_->http->read_response('POST')->{status} == 200 } @apis),
       scalar @apis, 'all that was begun is answered');
    ok($server->reap_master(15), 'nginx ends');
    $server->finish;
};


done_testing();
