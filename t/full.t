# The disk takes no more: POSTs get their 503, history, subscribers and events
# that are not stored go on, nothing that got a 201 is lost, and nothing else
# was stored or sent.  With room again, messages are taken again, by the same
# workers.
#
# A limit of the file size stands for the full disk: write() fails in the same
# place.  The signal that comes with it is ignored, as a full disk sends none.
# Where root can mount one, there is a small file system, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::HTTP qw(from_json);
use Chat::Server qw(wait_for);
use Chat::WebSocket;

use constant LIMIT => 2 * 1024 * 1024;

my $locations = <<'END';
        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/  { chat_websocket; }
        location /apps/ { chat_api; }
END


sub history_is {
    my ($http, $stored, $name) = @_;

    is_deeply([ map { $_->{id} } @{ $http->history('/messages') } ],
              [ map { $_->{id} } @$stored ], $name);
}


sub is_refused {
    my ($res) = @_;

    is($res->{status}, 503, 'the store takes no more: 503');
    like($res->{headers}{'retry-after'} || '', qr/^\d+$/, 'Retry-After');
    like(from_json($res->{body})->{error}, qr/\S/, 'an error in JSON');
    unlike($res->{body}, qr{/}, 'that names no path');
}


sub fills_up {
    my ($server, $make_room) = @_;

    my $port = $server->port;
    my $http = Chat::HTTP->new(port => $port);
    my $api = Chat::API->new(port => $port);
    my $ws = Chat::WebSocket->established(port => $port);
    my (@stored, $refused);

    $ws->subscribe('chat');

    for my $n (1 .. 2000) {
        my $res = $http->post('/messages',
                              { content => "$n " . 'x' x 10_000 });

        if ($res->{status} == 201) {
            my $e = $ws->next_event;

            push @stored, from_json($res->{body});
            die "event $n" unless ($e->{data} || '') eq $res->{body};
            next;
        }

        is_refused($res);
        last if ++$refused == 5;
    }

    is($refused, 5, 'five messages were refused');
    cmp_ok(scalar @stored, '>', 10, 'many were taken before');
    ok($ws->nothing_waits, 'what was refused was not sent');

    # several that are one commit are refused as one
    is($api->post('events', { name => 'e', channels => [ 'kept', 'chat' ],
                              data => 'x' x 9_000 })->{status},
       503, 'an event that is to be stored is refused, too');
    ok($ws->nothing_waits, 'and not sent to the others either');

    is($api->post('events', { name => 'e', channel => 'chat',
                              data => 'not stored' })->{status},
       200, 'an event that is not stored is taken');
    is($ws->next_event->{data}, 'not stored', 'and sent');

    history_is($http, \@stored, 'history has what was taken, and no more');
    ok($ws->subscribe('other'), 'subscribers are served');

    $make_room->();

    my $res;

    ok(wait_for(10, sub {
        $res = $http->post('/messages', { content => 'room again' });
        return $res->{status} == 201;
    }), 'with room, messages are taken again');

    is($ws->next_event->{data}, $res->{body}, 'and sent');
    push @stored, from_json($res->{body});
    cmp_ok($stored[-1]{id}, '>', $stored[-2]{id}, 'ids go on');

    for (1 .. 20) {
        $res = $http->post('/messages', { content => 'x' x 10_000 });
        push @stored, from_json($res->{body}) if $res->{status} == 201;
    }

    is($res->{status}, 201, 'and so are the next');
    history_is($http, \@stored, 'history has them');

    $server->kill_all;
    $server->start;

    $http = Chat::HTTP->new(port => $port);
    history_is($http, \@stored, 'the same after kill -9 and a start');

    my $path = $server->database;
    is(`sqlite3 '$path' 'PRAGMA integrity_check'`, "ok\n",
       'the file is whole');
}


subtest 'a limit of the file size' => sub {
    # dash counts in units of 512 bytes, bash in 1024: 1 or 2 MB
    my $server = Chat::Server->new(shell => "trap '' XFSZ\nulimit -S -f 2048",
                                   app => 'store kept;',
                                   locations => $locations)->start;

    fills_up($server, sub {
        for my $pid ($server->master_pid, $server->worker_pids) {
            system('prlimit', '--pid', $pid, '--fsize=unlimited:unlimited')
                == 0 or die "prlimit: $?";
        }

        delete $server->{shell};
    });

    # nginx itself says so
    $server->expect_log(qr/failed .*\(27: File too large\)/);
    $server->finish;
};


subtest 'a small file system' => sub {
    my $server = Chat::Server->new(app => 'store kept;',
                                   locations => $locations);
    my $dir = $server->dir . '/data';

    mkdir $dir or die;

    if ($> != 0 || system('mount -t tmpfs -o size=' . LIMIT
                          . ",mode=0777 chat '$dir' > /dev/null 2>&1") != 0)
    {
        note('none can be mounted here');
        $server->finish;
        return;
    }

    my $ballast = "$dir/ballast";

    Chat::Server::spew($ballast, 'x' x (LIMIT / 2));

    eval {
        $server->start;
        fills_up($server, sub { unlink $ballast });
        1;
    } or fail($@);

    $server->stop;
    system('umount', $dir);
    $server->finish;
};


done_testing();
