# Webhooks and other files that are put in place of the database: ids that
# receivers know are not given to other events, and the books become right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP;
use Chat::Pusher qw(subscribe_to client_event);
use Chat::Receiver;
use Chat::Server qw(APP_ID wait_for spew);


sub receiver {
    my ($name) = @_;

    return Chat::Receiver->new(name => $name);
}


sub start {
    my ($hooks) = @_;

    return Chat::Pusher->new(workers => 2, app => "client_events on;\n$hooks");
}


# The status of a POST.

sub post {
    my ($t, $channel, $content) = @_;

    return $t->http->post('/publish', { content => $content },
                          { 'X-Channel' => $channel,
                            'X-Event' => 'news' })->{status};
}


sub epoch_of {
    my ($t) = @_;

    return $t->sqlite(q{SELECT value FROM meta WHERE key = 'epoch'});
}


# A database of another epoch sends all subscribers away, each worker its own:
# with one of each it is sure that who comes now may stay.

sub on_each_worker {
    my ($t) = @_;

    my @ws = $t->spread(2);

    subscribe_to($_, 'any') for @ws;

    return @ws;
}


sub are_sent_away {
    my ($name, @ws) = @_;

    is(join(' ', map { $_->wait_close(20) } @ws), '4200 4200',
       "$name: clients are told to come back");
}


sub webhook_id { return Chat::Receiver::header($_[0], 'X-Chat-Webhook-Id') }


subtest 'another file is put in place of the database' => sub {
    my $slow = receiver('slow');
    my $r = receiver('replaced');
    my $t = start("webhook @{[$slow->url]} events=client_event;\n"
                  . "webhook @{[$r->url]} batch=off channels=a-*,private-a"
                  . ' events=channel_occupied,channel_vacated,message_stored;');
    my $server = $t->server;
    my $path = $server->database;
    my ($ws, $other) = on_each_worker($t);

    my $again = sub {
        ok(wait_for(20, sub { post($t, 'a-post', 'again') == 201 }),
           "$_[0]: messages are taken");
        are_sent_away($_[0], $ws, $other);
        ($ws, $other) = on_each_worker($t);
        subscribe_to($ws, $_) for 'a-stays', "a-$_[0]", 'private-a';
    };

    $server->expect_log(qr/removed or replaced under the running server/);

    # the first row is one that is under way when the file is replaced
    $slow->answer('ok-three');
    subscribe_to($ws, 'private-b');
    client_event($ws, 'private-b', 'client-x', 'text');
    ok(wait_for(10, sub { $slow->requests == 1 }), 'a request under way');
    like(webhook_id($slow->requests), qr/-1$/, 'whose id others get, too');
    subscribe_to($ws, $_) for 'private-a', 'a-stays';
    $t->publish('a-post', 'before');
    $r->wait_texts(3);

    my $old = epoch_of($t);
    is($t->sqlite("VACUUM INTO '$path.backup'"), '', 'a backup');

    # an empty one
    $r->answer(500);
    $r->forget;
    rename $path, "$path.away" or die $!;
    unlink "$path-wal", "$path-shm";
    spew($path, '');
    $again->('empty');

    # the answer of what was under way is about the file before
    ok(wait_for(10, sub { $r->requests >= 3 }), 'some tries');
    $r->answer(200);
    is_deeply([ sort grep { /occupied/ }
                $r->wait_texts(3, qr/^channel_occupied/) ],
              [ map { "channel_occupied $_" } qw(a-empty a-stays private-a) ],
              'an empty file: who is there is told anew');
    is(scalar $r->wait_texts(1, qr/stored a-post/), 1,
       'and what is stored in it');

    my $new = epoch_of($t);
    isnt($new, $old, 'it has another epoch');
    is(join(' ', grep { webhook_id($_) !~ /^$new-/ } $r->requests), '',
       'which the ids have');

    # the backup, which knows a-stays
    $r->forget;
    rename "$path.backup", $path or die $!;
    $again->('backup');
    is_deeply([ $r->wait_texts(1, qr/occupied a-backup/) ],
              [ 'channel_occupied a-backup' ], 'the backup: what is new');
    is(scalar $r->wait_texts(1, qr/stored a-post/), 1, 'what is stored in it');

    my $third = epoch_of($t);
    isnt($third, $_, 'and an epoch of its own') for $old, $new;
    is(join(' ', grep { webhook_id($_) !~ /^$third-/ } $r->requests), '',
       'which the ids have');

    $ws->disconnect;
    is_deeply([ sort $r->wait_texts(3, qr/vacated (?!a-empty)/) ],
              [ sort map({ "channel_vacated $_" }
                         qw(a-backup a-stays private-a)) ], 'all end');
    is($r->faults, '', 'nothing comes twice');
    $t->finish;
};


# As many messages are in the backup as in the file that it replaces, but fewer
# events: a receiver that drops what it knows by its id loses none.

subtest 'a backup that has told less is put in place' => sub {
    my $r = receiver('again');
    my $t = start("webhook @{[$r->url]} channels=x-*"
                  . ' events=channel_occupied;');
    my $path = $t->server->database;
    my ($ws, $other) = on_each_worker($t);

    $t->server->expect_log(qr/removed or replaced under the running server/);

    subscribe_to($ws, 'x-0');
    $r->wait_texts(1);
    is($t->sqlite("VACUUM INTO '$path.backup'"), '', 'a backup');

    subscribe_to($ws, "x-$_") for 1 .. 5;
    $r->wait_texts(6);

    rename "$path.backup", $path or die $!;
    ok(wait_for(20, sub { post($t, 'other', 'text') == 201 }),
       'messages are taken');
    are_sent_away('a backup', $ws, $other);

    $ws = $t->ws;
    subscribe_to($ws, "x-later$_") for 1 .. 8;

    my @texts = map { "channel_occupied x-later$_" } 1 .. 8;

    ok(wait_for(20, sub {
        my %there = map { $_ => 1 } $r->wait_texts(14, qr/occupied/, 1);
        return !grep { !$there{$_} } @texts;
    }), 'all later events are told');

    is($r->faults(qr{x-later}), '', 'no id is that of two requests');
    $ws->disconnect;
    $t->finish;
};


# What the database knows of other messages is no matter of webhooks' ids.

subtest 'a backup that has told all is put in place' => sub {
    my $r = receiver('all');
    my $t = start("webhook @{[$r->url]} channels=x-* events=message_stored;");
    my $path = $t->server->database;

    $t->server->expect_log(qr/removed or replaced under the running server/);

    $t->publish('x-0', 'told');
    $t->publish('other', "not told $_") for 1 .. 5;
    $r->wait_texts(1);

    my $before = epoch_of($t);

    is($t->sqlite("VACUUM INTO '$path.backup'"), '', 'a backup');
    rename "$path.backup", $path or die $!;
    ok(wait_for(20, sub { post($t, 'x-0', 'text') == 201 }),
       'messages are taken');
    is(epoch_of($t), $before, 'it keeps its epoch');
    is(scalar $r->wait_texts(2), 2, 'and what is stored is told');
    $t->finish;
};


subtest 'a backup from before a start is put in place' => sub {
    my $r = receiver('start');
    my $t = start("webhook @{[$r->url]} channels=x-*"
                  . ' events=channel_occupied;');
    my $path = $t->server->database;
    my $ws = $t->ws;

    $t->server->expect_log(qr/removed or replaced under the running server/);

    subscribe_to($ws, 'x-0');
    $r->wait_texts(1);
    is($t->sqlite("VACUUM INTO '$path.backup'"), '', 'a backup');

    subscribe_to($ws, "x-$_") for 1 .. 5;
    $r->wait_texts(6);

    $t->server->restart;
    $t->{http} = Chat::HTTP->new(port => $t->port);
    is(post($t, 'other', 'text'), 201, 'nginx is started anew');

    my @clients = on_each_worker($t);

    # as many messages as in the file that is replaced
    $t->sqlite("ATTACH '$path.backup' AS b; INSERT INTO b.messages"
               . ' SELECT * FROM messages');
    rename "$path.backup", $path or die $!;
    ok(wait_for(20, sub { post($t, 'other', 'text') == 201 }),
       'messages are taken');
    are_sent_away('a backup', @clients);

    $ws = $t->ws;
    subscribe_to($ws, "x-later$_") for 1 .. 8;
    is(scalar $r->wait_texts(8, qr/later/), 8, 'all later events are told');
    is($r->faults(qr{x-later}), '', 'no id is that of two requests');
    $ws->disconnect;
    $t->finish;
};


# The herald has nothing to do, and nobody comes: it compares all the same.

subtest 'a backup is put in place while nothing happens' => sub {
    my $r = receiver('idle');
    my $t = start("webhook @{[$r->url]} channels=x-*"
                  . ' events=channel_occupied;');
    my $path = $t->server->database;
    my $known_of = sub { $t->sqlite('SELECT count(*) FROM webhook_state') };
    my $known = sub {
        my ($n, $name) = @_;

        ok(wait_for(40, sub { $known_of->() eq $n }), $name);
    };

    # a backup that knows the channel; it is told nowhere that it is vacated
    my $occupied = sub {
        my ($channel) = @_;

        my $ws = $t->ws;

        subscribe_to($ws, $channel);
        is(scalar $r->wait_texts(1, qr/$channel/), 1, "$channel: occupied");
        is($t->sqlite("VACUUM INTO '$path.backup'"), '', 'a backup');

        return $ws;
    };

    $t->server->expect_log(qr/removed or replaced under the running server/);

    ok(wait_for(20, sub { eval { $known_of->() }; !$@ }), 'there is a database');

    # 10 s behind the start it compares, and finds this one
    $t->sqlite('INSERT INTO webhook_state'
               . " VALUES (@{[APP_ID]}, 'x-ghost', '')");
    $known->(0, 'nothing is to be done any more');

    $occupied->('x-0')->disconnect;
    $known->(0, 'and vacated');
    rename "$path.backup", $path or die $!;

    # whoever asks earlier finds the WAL of the file before
    ok(wait_for(20, sub {
        $t->server->error_log =~ /is another file now, with the same epoch/
    }), 'the herald sees that it is another one');
    $known->(1, 'where it is occupied still');
    $known->(0, 'but not for long');

    # of another epoch, and a worker that has no herald is the first to see it
    my $ws = $occupied->('x-1');

    subscribe_to($ws, 'x-2');
    $r->wait_texts(1, qr/x-2/);
    $ws->disconnect;
    $known->(0, 'vacated again');
    rename "$path.backup", $path or die $!;
    ok(wait_for(20, sub { post($t, 'other', 'text') == 201 }),
       'a message is taken');
    $known->(0, 'what that backup has is compared, too');
    $t->finish;
};

done_testing();
