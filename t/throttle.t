# Publishers that are faster than deliveries: they wait, and nobody is
# overrun.  More than the ring holds is sent to a worker, over connections
# that pipeline; each subscriber gets all of it, each connection's in order.
# Messages wait, too, and what waits is done also by a worker that leaves.

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
use Chat::Server qw(SCALE stop_worker);
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


# The bytes of a request.

sub trigger {
    my ($api, $data) = @_;

    return $api->request_bytes('POST', 'events',
        body => json_bytes({ name => 'e', channel => 'chat',
                             data => $data }));
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
            my $seen = () = $c->{in} =~ m{HTTP/1\.1 \d{3}}g;

            $reading->remove($s)
                if $seen == $answers || (defined $n && $n == 0);
        }
    }

    my %count;

    $count{$_}++ for map { $_->{in} =~ m{HTTP/1\.1 (\d+)}g } @conns;

    return join ', ', map { "$count{$_} x $_" } sort keys %count;
}


# Floods a server over each API's connection with so many triggers that have so
# many bytes, while subscribers read.

sub flood {
    my ($server, $subscribers, $each, $size, @apis) = @_;

    my @all = subscribers($server, $subscribers);
    my $events = $each * @apis;
    my @conns = map {
        my ($k, $api) = ($_, $apis[$_]);

        { in => '', socket => $api->http->socket,
          out => join '', map { trigger($api, "$k:$_:" . 'x' x $size) }
                              1 .. $each };
    } 0 .. $#apis;

    my $pid = open my $pump, '-|';

    die "fork: $!" if !defined $pid;

    if (!$pid) {
        print pump($each, @conns);
        close STDOUT;
        POSIX::_exit(0);
    }

    ok(read_all(60, \@all, \&take, sub {
           return !grep { !$_->{end} && $_->{n} < $events } @all;
       }), 'all that came in time');

    is(scalar <$pump>, "$events x 200", 'each request is answered');

    my %ends;
    my $sent = join ' ', 1 .. $each;

    $ends{ $_->{end} }++ for grep { $_->{end} } @all;

    is(join(', ', map { "$ends{$_} x $_" } sort keys %ends), '',
       'nobody is sent away');
    is(scalar(grep {
           my $got = $_->{got};

           @apis == grep { "@{ $got->{$_} || [] }" eq $sent } 0 .. $#apis;
       } @all), $subscribers,
       'each subscriber has all events, those of a connection in order');

    my $res = Chat::HTTP->new(port => $server->port)->get('/chat_status');

    is(from_json($res->{body})->{overruns}, 0, 'nothing was overrun');

    return;
}


for my $tls (0, 1) {
    subtest $tls ? 'triggers over TLS' : 'triggers' => sub {
        my $server = server();
        my $port = $tls ? $server->tls_port : $server->port;

        flood($server, 20, 500, 200,
              map { Chat::API->new(port => $port, tls => $tls) } 1 .. 8);
        $server->finish;
    };
}


# So many triggers of 8 KB, more than a worker does at once, each on its own
# connection, with all but its last byte read; what sends the rest of them.

sub begin {
    my ($server, $n) = @_;

    my @apis = map { Chat::API->new(port => $server->port) } 1 .. $n;
    my @asked = map { trigger($apis[$_], "$_:1:" . 'x' x 8000) } 0 .. $#apis;

    $apis[$_]->http->send_raw(substr $asked[$_], 0, -1) for 0 .. $#apis;

    # the worker has read so much before it answers this
    Chat::API->new(port => $server->port)->get('channels');

    return sub {
        $apis[$_]->http->send_raw(substr $asked[$_], -1) for 0 .. $#apis;
        return @apis;
    };
}


sub all_answered {
    my (@apis) = @_;

    is(scalar(grep { $_->http->read_response('POST')->{status} == 200 } @apis),
       scalar @apis, 'all that was begun is answered');

    return;
}


# Without the wait the message would come before the triggers that do.

subtest 'messages' => sub {
    my $server = server();
    my ($worker) = $server->worker_pids;
    my $http = Chat::HTTP->new(port => $server->port);
    my @all = subscribers($server, 50);
    my $complete = begin($server, 100);

    $http->get('/chat_status');     # so the worker has its connection
    stop_worker($worker);

    my @apis = $complete->();

    $http->send_raw($http->format_request('POST', '/messages',
        { 'Content-Type' => 'application/json' },
        json_bytes({ content => '100:1:x' })));
    kill 'CONT', $worker;

    ok(read_all(60, \@all, sub {
           my ($ws, $f) = @_;

           $ws->{before} = $ws->{n} if $f->[1] =~ /"100:1:x/;
           take($ws, $f);
       }, sub {
           return !grep { !$_->{end} && $_->{n} < 101 } @all;
       }), 'all that came in time');

    is(join(' ', grep { $_ != 100 } map { $_->{before} // -1 } @all), '',
       'the message comes behind the triggers that were there before it');
    is($http->read_response('POST')->{status}, 201, 'it is stored');
    all_answered(@apis);
    $server->finish;
};


# It has both its signal and what they ask for when it goes on.  (No timers of
# lingering connections keep it; nginx's log of timers looks at what they have.)

subtest 'a worker that leaves' => sub {
    my $server = server(main => 'error_log logs/debug.log debug;',
                        http => 'lingering_close off;');
    my ($worker) = $server->worker_pids;
    my $complete = begin($server, 200);

    stop_worker($worker);

    my @apis = $complete->();

    # the master first: it does not start another one then
    kill 'QUIT', $server->master_pid, $worker;
    kill 'CONT', $worker;

    all_answered(@apis);
    ok($server->reap_master(15), 'nginx ends');
    $server->finish;
};


done_testing();
