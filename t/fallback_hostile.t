# Hostile clients of the HTTP fallback: each gets its defined answer, another
# client notices nothing, and what they took comes back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM);
use Test::More;
use Time::HiRes qw(time);

use Chat::Fallback qw(fresh_session TYPE);
use Chat::HTTP qw(json_bytes);
use Chat::Pusher qw(subscribe_to is_event);
use Chat::Server qw(SCALE wait_for);

use constant {
    CONNECTIONS => 512,                 # of a worker, and its sessions
    WAITS       => 64,                  # requests of a session
    PINGS       => 1000,
    PING        => '{"event":"pusher:ping","data":{}}',
};

my $t = Chat::Pusher->new(workers => 1, connections => CONNECTIONS,
    http => 'chat_send_buffer 64k;',
    more => 'location /pusher/ { chat_fallback; }');

my $witness = Chat::Fallback->established(port => $t->port);
my ($ws) = $t->ws;

$t->fence($witness, $ws);


sub client { return Chat::Fallback->established(port => $t->port, @_) }


sub unharmed {
    my ($name) = @_;

    $t->nothing("$name: other clients notice nothing", $witness, $ws);
    $t->server->check_workers;
}


subtest 'sessions that are opened and left' => sub {
    my $before = $t->status;
    my $http = Chat::HTTP->new(port => $t->port);
    my %got;

    # many at a time: the first may not be gone before the last have come
    my @requests = map {
        my $c = Chat::Fallback->new(port => $t->port);

        $http->format_request('POST', $c->path('xhr'), TYPE, '');
    } 1 .. CONNECTIONS + 100;

    while (my @some = splice @requests, 0, 50) {
        $http->send_raw(join '', @some);

        for (@some) {
            my $body = $http->read_response('POST')->{body};

            $got{ $body =~ /^o\nc\[(\d+)/ ? $1 : $body }++;
        }
    }

    is(join(' ', sort keys %got), "4100 o\n", 'opened, or at last refused');
    is($got{"o\n"}, CONNECTIONS - 1, 'as many as the worker has connections');
    unharmed('opened and left');

    ok(wait_for(20, sub { $t->status->{connections_fallback} == 1 }),
       'all are gone');

    my $now = $t->status;

    is($now->{connections}, $before->{connections}, 'no connection is left');
    is($now->{channels}, $before->{channels}, 'no channel');
    is($now->{zone_used_bytes}, $before->{zone_used_bytes}, 'no memory');
    is($now->{connections_refused_by_code}{4100}
       - $before->{connections_refused_by_code}{4100}, $got{4100}, 'counted');
};


subtest 'a reader that does not read' => sub {
    my $before = $t->status->{connections_closed_by_reason}{slow};
    my $c = client();

    subscribe_to($c, 'slow');
    subscribe_to($ws, 'slow');

    # 262,144 units go out, 64 KB wait

    for my $n (1 .. 60) {
        my $data = $t->publish('slow', 'x' x 9000);

        is_event($ws->next_event, 'news', 'slow', $data, 'who reads gets it');
    }

    is($t->status->{connections_closed_by_reason}{slow}, $before + 1,
       'closed as slow');

    # what was written is there, and then the end, on the next request

    my $e;

    do {
        $c->receive if $c->{lines} eq '' && $c->{units} > 262144;
        $e = $c->next_event;
    } while ($e->{event} || '') eq 'news';

    is($e->{data}{code}, 4200, 'told to come back');
    is($c->next_event->{close}, 4200, 'and closed');

    unharmed('slow');
};


subtest 'commands without reading their answers' => sub {
    my $c = client();
    my $body = json_bytes([ (PING) x PINGS ]);
    my @waiting = map { Chat::HTTP->new(port => $t->port) } 1 .. 2 * WAITS;
    my %got;

    $_->send_raw($_->format_request('POST', $c->path('xhr_send'), TYPE, $body))
        for @waiting;

    my $look = sub {
        @waiting = grep {
            $_->fill(time() + 0.001);
            my $res = $_->{buffer} =~ /\r\n\r\n/ ? $_->read_response : undef;
            $got{ $res->{status} }++ if $res;
            !$res;
        } @waiting;
    };

    ok(wait_for(30, sub { $look->(); return @waiting <= WAITS }),
       'all but 64 are answered, at the least');
    cmp_ok(scalar @waiting, '>', 0, 'some of these wait');
    is(join(' ', sort keys %got), '204 503', 'the others are taken or not');

    # the client reads: they are taken

    my $pongs = 0;

    while (@waiting || $pongs < $got{204} * PINGS) {
        $c->receive if $c->{lines} eq '' && $c->{units} > 262144;

        my $e = $c->next_event;

        last if ($e->{event} || '') ne 'pusher:pong';
        $pongs++;
        $look->() if $pongs % 1000 == 0;
    }

    $look->() if @waiting;

    is(scalar @waiting, 0, 'all are answered');
    is($pongs, $got{204} * PINGS, 'and so is each command, once');

    $c->disconnect;
    unharmed('commands');
};


subtest 'pipelined' => sub {
    my $c = client();
    my $http = Chat::HTTP->new(port => $t->port);

    $http->send_raw(join '', map {
        $http->format_request('POST', $c->path('xhr_send'), TYPE, '["{}"]')
    } 1 .. 200);

    my %got;

    $got{ $http->read_response->{status} }++ for 1 .. 200;
    is_deeply(\%got, { 204 => 200 }, 'each is answered');
    is($c->next_event->{event}, 'pusher:error', 'and done') for 1 .. 200;

    $c->disconnect;
    unharmed('pipelined');
};


# JSON takes twenty times the memory of its text, but not for as long as it
# waits.  Then there is the text, and what is packed of it at either end of the
# door: an empty string has three bytes there, and four here.

subtest 'many small messages that wait' => sub {
    my $c = client();
    my ($worker) = $t->server->worker_pids;
    my $memory = $t->server->worker_memory($worker);
    my $body = '[' . join(',', ('""') x 65_500) . ']';
    my $held = 6 * WAITS * length $body;

    my @waiting = map { Chat::HTTP->new(port => $t->port) } 1 .. WAITS;

    # the last one is sent when the worker has got the others
    $_->send_raw($_->format_request('POST', $c->path('xhr_send'), TYPE, $body))
        for @waiting;
    $c->send_list([]);

    my $grown = $t->server->worker_memory($worker) - $memory;

    cmp_ok($grown, '<', $held * ($ENV{CHAT_ASAN} ? 10 : 1),
           'they take six times their text at most');
    $_->close for @waiting;
    $c->disconnect;
    unharmed('small messages');
};


subtest 'many requests that receive' => sub {
    my $c = client();

    subscribe_to($c, 'many');

    my @old = map { my $old = $c->{http}; $c->receive; $old } 1 .. 100;

    is(scalar(grep { $c->rest_of($_) =~ /0\r\n\r\n\z/ } @old), 100,
       'all but the last end');
    my $data = $t->publish('many', 'x');

    is_event($c->next_event, 'news', 'many', $data, 'which has what comes');

    $c->disconnect;
    unharmed('many');
};


# By the table of the kernel; nobody is told the name.

sub door {
    open my $table, '<', '/proc/net/unix' or die "/proc/net/unix: $!";

    my ($worker) = $t->server->worker_pids;
    my %ours;

    for my $fd (glob "/proc/$worker/fd/*") {
        $ours{$1} = 1 if (readlink $fd || '') =~ /^socket:\[(\d+)\]/;
    }

    for (<$table>) {
        return "\0$2" if /\s(\d+) @(ngx_chat-[0-9a-f]+)$/ && $ours{$1};
    }

    return undef;
}


sub knock {
    my ($name, $bytes) = @_;

    socket my $s, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
    connect $s, pack 'S a*', AF_UNIX, $name or die "connect: $!";
    syswrite $s, $bytes if length $bytes;

    return $s;
}


sub answer_of {
    my ($s) = @_;

    IO::Select->new($s)->can_read(10 * SCALE) or return 'nothing';
    sysread $s, my $bytes, 100;

    return $bytes;
}


subtest 'at the door' => sub {
    my $name = door();

    like($name, qr/^\0ngx_chat-[0-9a-f]{16}\z/, 'there is one');

    my @half = map { knock($name, 'x' x $_) } 0 .. 20;

    is(answer_of(knock($name, "\xff" x 100)), 'n', 'nonsense is refused');
    is(answer_of(knock($name, "\0" x 100)), 'n', 'nothing, too');

    my $c = client();

    is($c->send_list([])->{status}, 204, 'who is half there stops nobody');
    is($c->next_line, 'h', 'nor what comes');
    $c->disconnect;
    close $_ for @half;

    if ($> == 0) {
        pipe my $read, my $write or die "pipe: $!";

        my $pid = fork() // die "fork: $!";

        if ($pid == 0) {
            $SIG{PIPE} = 'IGNORE';      # the door may be shut before it speaks
            POSIX::setgid(65534);
            POSIX::setuid(65534);
            syswrite $write, 'got "' . answer_of(knock($name, "\0" x 100))
                             . '"';
            POSIX::_exit(0);
        }

        close $write;
        waitpid $pid, 0;
        sysread $read, my $got, 100;
        is($got, 'got ""', 'another user is not even answered');
    }

    unharmed('door');
};

$t->finish;
done_testing();
