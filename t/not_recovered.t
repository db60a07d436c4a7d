# What a client with a token must not be told: that it has all, where something
# may be missing.  Each way in which what was kept is gone.  The rows R are
# those of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::HTTP qw(from_json from_text);
use Chat::Pusher qw(send_subscribe signin);
use Chat::Server qw(wait_for APP_ID);
use Chat::Token qw(fresh_token fresh path_of client enter is_new is_recovered);

use constant { TOKENS => 1000 };


sub server {
    my (%args) = @_;

    return Chat::Pusher->new(workers => 2,
        more => "location /apps/ { chat_api; }\n"
                . "location = /history { chat_history \$arg_channel app="
                . APP_ID . "; }\n", %args);
}


# A client has been on a channel, and is away while an event is sent.

sub leave {
    my ($t) = @_;
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($t, $token);

    is_new($ws, $channel, 'at first');
    $t->close_all($ws);
    $t->publish($channel, 'missed');

    return ($token, $channel);
}


subtest 'expired' => sub {
    my $t = server(http => 'chat_recovery 1s;');
    my ($token, $channel) = leave($t);

    is($t->status->{sessions_parked}, 1, 'R31: counted');
    is($t->ws(path => path_of($token))->{recovery}, 1,
       'R32: the time is said');

    ($token, $channel) = leave($t);
    sleep 3;                            # it is time that is awaited
    is_new(client($t, $token), $channel, 'R14: after that time');

    $t->finish;
};


subtest 'off' => sub {
    my $t = server(http => 'chat_recovery off;');
    my $ws = client($t, fresh_token());

    is($ws->{recovery}, undef, 'R32: off, nothing is said');
    is_deeply(from_text($ws->subscribe('chat')->{data}), {},
              'R32: as without a token');
    $t->nothing('R32: and no event', $ws);

    $t->finish;
};


subtest 'evicted' => sub {
    my $t = server(zone => '1m');
    my ($token, $channel) = leave($t);
    my ($last, $other) = leave($t);

    for (1 .. TOKENS) {
        client($t, fresh_token())->disconnect;
    }

    ok(wait_for(10, sub { $t->status->{connections} == 0 }), 'all are away');
    ok($t->status->{sessions_evicted} > 0, 'R31: counted');
    is_new(client($t, $token), $channel, 'R16: the longest parked is gone');

    ($last, $other) = leave($t);
    my $ws = client($t, $last);
    my ($told) = enter($ws, $other);
    ok($told->{recovered}, 'R16: the latest is there');

    $t->finish;
};


subtest 'not evicted by another app' => sub {
    my $t = server(zone => '1m');
    my ($token, $channel) = leave($t);

    for (1 .. TOKENS) {
        my $path = Chat::Token::path_of(fresh_token());

        $path =~ s{^/app/[^;]+}{/app/other-key};
        $t->ws(path => $path)->disconnect;
    }

    ok(wait_for(10, sub { $t->status->{connections} == 0 }), 'all are away');
    ok($t->status->{sessions_evicted} > 0, 'too many of the other app');

    my ($told) = Chat::Token::enter(client($t, $token), $channel);
    ok($told->{recovered}, 'R16: an app loses none to another');

    $t->finish;
};


# Its first channel is another client's already, and needs no room.

subtest 'no room for the token' => sub {
    my $t = server(zone => '1m', workers => 1,
                   app => 'channels_per_connection 0;');
    my ($other, $token) = ($t->ws, fresh_token());

    $t->server->expect_log(qr/\[(?:alert|warn)\].*chat_zone is full/);
    $other->subscribe('chat');

    # a name of one byte more needs a larger piece, so the smallest come last
    for my $name ('x' x 150, 'y' x 80, 'z' x 30, 'c') {
        for (my $n = 0; ; $n++) {
            send_subscribe($other, "$name-$n");
            last if $other->next_event->{event} eq 'pusher:error';
        }

        $other->next_event;
    }

    for (1 .. 2) {
        my $ws = client($t, $token);

        is($ws->{recovery}, 120, 'R2: it is greeted as ever');
        is_new($ws, 'chat', 'R5: what there is no room for', later => 1);
        $t->close_all($ws);
    }

    $t->finish;
};


subtest 'retention in the gap' => sub {
    my $t = server(zone => '1m', http => 'chat_retention count=3;');
    my ($token, $channel) = leave($t);

    $t->publish($channel, "missed $_") for 1 .. 6;

    # the ring is written over, so that only the history could have them
    $t->publish('elsewhere', 'x' x 9000) for 1 .. 100;

    ok(wait_for(20, sub {
        @{from_json($t->http->get("/history?channel=$channel")->{body})} <= 3
    }), 'old messages are removed');

    is_new(client($t, $token), $channel, 'R15: some are removed');
    is($t->status->{recoveries_by_result}{history}, 0, 'not from there');

    $t->finish;
};


subtest 'terminated' => sub {
    my $t = server();
    my $api = Chat::API->new(port => $t->port);
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($t, $token);

    is_new($ws, $channel, 'R14');
    is(signin($ws, { id => 'ann' })->{event}, 'pusher:signin_success',
       'signed in');
    is($api->terminate('ann')->{status}, 200, 'terminated');
    is($ws->wait_close, 4009, 'R14: sent away for good');

    is_new(client($t, $token), $channel, 'R14: nothing is kept');

    $t->finish;
};


subtest 'closed for good' => sub {
    my $t = server(app => 'authorization_timeout 2s;');
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $ws = client($t, $token);

    is_new($ws, $channel, 'R14');
    is($ws->wait_close(20), 4009, 'R14: it has not signed in');
    is_new(client($t, $token), $channel, 'R14: nothing is kept');

    $t->finish;
};


# Publishes on each of the channels more than a client that does not read is
# let have, all together: what has come then to each channel.

sub drown {
    my ($t, @channels) = @_;
    my $closed = $t->status->{slow_subscribers_closed};
    my %sent;

    for (1 .. 12) {
        push @{$sent{$_}}, $t->publish($_, 'x' x 9000) for @channels;
    }

    ok(wait_for(10, sub {
        $t->status->{slow_subscribers_closed} == $closed + 1
    }), 'it is sent away');

    return \%sent;
}


# It takes little at a time.

sub little {
    my ($t, $token) = @_;

    return $t->ws(path => path_of($token, 'java'), rcvbuf => 4096);
}


subtest 'slow readers' => sub {
    my $t = server(workers => 1, http => 'chat_send_buffer 256k;',
                   listen => 'sndbuf=16k');
    my $token = fresh_token();
    my @channels = map { fresh('chat-') } 1 .. 4;
    my $ws = little($t, $token);

    is_new($ws, $_, 'R20') for @channels;
    $ws->{auto_pong} = 0;               # what asks it from now on
    my $sent = drown($t, @channels);
    $ws->disconnect;

    $ws = little($t, $token);
    $ws->{auto_pong} = 0;
    is_recovered($ws, $_, $sent->{$_}, 'R20: the first time') for @channels;
    drown($t, @channels);
    $ws->disconnect;

    $ws = client($t, $token);
    is_new($ws, $_, 'R20: too slow again') for @channels;

    # with one channel alone, all that was too much is of this one
    $token = fresh_token();
    $ws = little($t, $token);
    is_new($ws, $channels[0], 'R16');
    $ws->{auto_pong} = 0;
    drown($t, ($channels[0]) x 4);
    $ws->disconnect;

    $ws = client($t, $token);
    is_new($ws, $channels[0], 'R16: more than half of chat_send_buffer');
    is($t->status->{recoveries_by_result}{too_much}, 1, 'R31: counted');

    $t->finish;
};


subtest 'another database' => sub {
    my $t = server();
    my ($token, $channel) = leave($t);
    my $db = $t->server->database;

    rename $db, "$db.old" or die "rename: $!";
    rename "$db-wal", "$db.old-wal";
    rename "$db-shm", "$db.old-shm";
    Chat::Server::spew($db, '');
    chmod 0666, $db;
    $t->server->expect_log(qr/\[(?:crit|error|notice|alert)\]/);

    ok(wait_for(20, sub {
        $t->{http}->post('/publish', { content => 'x' },
            { 'X-Channel' => 'elsewhere', 'X-Event' => 'x' })->{status} == 201
    }), 'another file is used');

    # it may be told to come back before it is asked
    is_new(client($t, $token), $channel, 'R5: of the database before',
           later => 1);
    is($t->status->{recoveries_by_result}{expired}, 1, 'counted');

    $t->finish;
};


# More than a ring of 512 KB has: only the history has what was before.

sub overwrite {
    my ($t) = @_;

    $t->publish('elsewhere', 'x' x 9000) for 1 .. 100;
}


subtest 'a restart' => sub {
    my $t = server(zone => '1m');
    my ($token, $channel) = (fresh_token(), fresh('chat-'));

    $t->publish($channel, "old $_") for 1 .. 3;
    $t->server->restart;
    $t->{http} = Chat::HTTP->new(port => $t->port);

    my $ws = client($t, $token);
    is_new($ws, $channel, 'R22');
    $t->close_all($ws);

    my @missed = map { $t->publish($channel, "missed $_") } 1 .. 2;
    overwrite($t);

    is_recovered(client($t, $token), $channel, \@missed,
                 'R15: what is older than the subscription is no news');

    $t->finish;
};


subtest 'another database, with lower ids' => sub {
    my $t = server(zone => '1m', workers => 1);
    my ($token, $channel) = (fresh_token(), fresh('chat-'));
    my $db = $t->server->database;
    my $old = $t->ws;

    $old->subscribe('chat');
    $t->publish($channel, "old $_") for 1 .. 9;

    rename $db, "$db.old" or die "rename: $!";
    rename "$db-wal", "$db.old-wal";
    rename "$db-shm", "$db.old-shm";
    Chat::Server::spew($db, '');
    chmod 0666, $db;
    $t->server->expect_log(qr/\[(?:crit|error|notice|alert)\]/);

    is($old->wait_close, 4200, 'all are told to come back');

    my $ws = client($t, $token);
    is_new($ws, $channel, 'R22');
    $t->close_all($ws);

    my @missed = map { $t->publish($channel, "missed $_") } 1 .. 3;
    is(from_json($missed[0])->{id}, 1, 'ids begin anew');
    overwrite($t);

    is_recovered(client($t, $token), $channel, \@missed,
                 'R15: the first ids are among what was missed');

    $t->finish;
};


done_testing;
