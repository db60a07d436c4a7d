# Presence grace: who was cut off stays for a while, who closes is gone at
# once.  The rows R are those of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::HTTP qw(from_text);
use Chat::Pusher qw(join_presence users_of signin);
use Chat::Server qw(wait_for);

use constant { LONG => '10m' };


sub server {
    my (%args) = @_;

    return Chat::Pusher->new(workers => 2, grace => LONG,
        more => "location /apps/ { chat_api; }\n", %args);
}


sub members {
    my ($api, $channel) = @_;

    my $res = $api->get("channels/$channel/users");

    return join ' ', sort map { $_->{id} }
                     @{from_text($res->{body})->{users}};
}


my $room = 'presence-room';


subtest 'cut off, and back' => sub {
    my $t = server();
    my $api = Chat::API->new(port => $t->port);
    my ($observer, $ann) = $t->spread(2);

    join_presence($observer, $room, 'observer');
    join_presence($ann, $room, 'ann');
    is($observer->next_event->{event}, 'pusher_internal:member_added',
       'ann has come');

    $t->close_all($ann);                # without a Close frame
    $t->nothing('R17: nobody is told', $observer);
    is(members($api, $room), 'ann observer', 'R18: she is in the list');
    is($t->status->{members}, 2, 'R18: she is counted');

    my $back = $t->ws;
    is(users_of(join_presence($back, $room, 'ann')), 'ann observer',
       'R18: and in that of those who come');
    $t->nothing('R17: back, and nobody is told', $observer);

    $back->send_close(1000);
    is($back->wait_close, 1000, 'she closes');
    is($observer->next_event->{event}, 'pusher_internal:member_removed',
       'R17: and is gone at once');
    is(members($api, $room), 'observer', 'for all');

    # nobody else is in the channel
    my ($alone) = $t->ws;
    join_presence($alone, 'presence-alone', 'bob');
    $t->close_all($alone);
    is(members($api, 'presence-alone'), 'bob', 'R18: alone in a channel');

    my $bob = $t->ws;
    join_presence($bob, 'presence-alone', 'bob');
    $bob->unsubscribe('presence-alone');
    $t->fence($bob);
    like($api->get('channels/presence-alone')->{body}, qr/"occupied":false/,
         'the channel is free when he leaves');

    $t->finish;
};


subtest 'sent away for good' => sub {
    my $t = server();
    my $api = Chat::API->new(port => $t->port);
    my ($observer, $ann) = $t->spread(2);

    join_presence($observer, $room, 'observer');
    signin($ann, { id => 'ann' });
    join_presence($ann, $room, 'ann');
    is($observer->next_event->{event}, 'pusher_internal:member_added',
       'ann has come');

    is($api->terminate('ann')->{status}, 200, 'terminated');
    is($ann->wait_close, 4009, 'and closed');
    is($observer->next_event->{event}, 'pusher_internal:member_removed',
       'R17: gone at once');

    $t->finish;
};


subtest 'the time is over' => sub {
    my $t = server(grace => '1s');
    my ($observer, $ann) = $t->spread(2);

    join_presence($observer, $room, 'observer');
    join_presence($ann, $room, 'ann');
    $observer->next_event;
    $t->close_all($ann);

    my $e = $observer->next_event(20);
    is($e->{event}, 'pusher_internal:member_removed', 'R17: gone');
    is_deeply(from_text($e->{data}), { user_id => 'ann' }, 'R17: who');

    $t->finish;
};


subtest 'a killed worker' => sub {
    my $t = server();
    my ($observer) = $t->ws;
    my $worker = $observer->header('X-Worker');

    join_presence($observer, $room, 'observer');

    my (@ws, $other);

    for my $n (1 .. 100) {
        my $ws = $t->ws;

        if ($ws->header('X-Worker') ne $worker) {
            $other = $ws->header('X-Worker');
            push @ws, $ws;
            join_presence($ws, $room, "u$n");
            is($observer->next_event->{event},
               'pusher_internal:member_added', "u$n has come");
            last if @ws == 3;
        }
    }

    $t->kill_worker($other);
    ok(wait_for(10, sub { $t->status->{workers_died} == 1 }), 'cleared up');
    $t->nothing('R17: a killed worker, nobody is told', $observer);
    is($t->status->{members}, 4, 'R18: all are there');
    is($t->status->{members_in_grace}, 3, 'R31: counted');

    $t->finish;
};


subtest 'a reload to a shorter time' => sub {
    my $t = server();
    my ($ann) = $t->ws;

    join_presence($ann, $room, 'ann');
    $t->close_all($ann);

    $t->server->write_conf(grace => '1s');
    $t->server->reload;
    $t->{http} = Chat::HTTP->new(port => $t->port);

    my ($observer, $bob) = $t->spread(2);
    my $e;

    join_presence($observer, $room, 'observer');
    join_presence($bob, $room, 'bob');
    is($observer->next_event->{event}, 'pusher_internal:member_added', 'bob');
    $t->close_all($bob);

    $e = $observer->next_event(10);
    is($e->{event}, 'pusher_internal:member_removed',
       'R32: he does not stay for as long as ann') or diag($e->{raw});
    like($e->{data}, qr/bob/, 'it is he');

    $t->finish;
};


subtest 'users online' => sub {
    my $t = server(app => 'watchlist on;');
    my ($watcher, $ann) = $t->spread(2);

    signin($watcher, { id => 'watcher', watchlist => ['ann'] });
    is($watcher->next_event->{event}, 'pusher_internal:watchlist_events',
       'offline');
    signin($ann, { id => 'ann' });
    like($watcher->next_event->{data}, qr/online/, 'online');

    $t->close_all($ann);
    $t->nothing('R17: cut off', $watcher);

    my $back = $t->ws;
    signin($back, { id => 'ann' });
    $t->nothing('R17: and back', $watcher);

    $back->send_close(1000);
    like($watcher->next_event->{data}, qr/offline/, 'R17: closed');

    $t->finish;
};


done_testing;
