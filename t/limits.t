# Where something is full, or can't be what the configuration asks for: the
# answer is a defined one, and whoever was served before still is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json);
use Chat::Server qw(APP_KEY wait_for slurp);
use Chat::WebSocket qw(TEXT CLOSE read_all);


sub status {
    my ($server) = @_;

    return from_json(Chat::HTTP->new(port => $server->port)
                         ->get('/chat_status')->{body});
}


sub post {
    my ($server, $content) = @_;

    return Chat::HTTP->new(port => $server->port)
               ->post('/messages', { content => $content });
}


# A message that is stored and reaches a subscriber.

sub serves {
    my ($server, $ws, $name) = @_;

    my $res = post($server, $name);

    is($res->{status}, 201, "$name: a message");
    is($ws->next_event->{data}, $res->{body}, "$name: its event");
}


sub open_ws {
    my ($server, $channel) = @_;

    my $ws = Chat::WebSocket->established(port => $server->port);

    $ws->subscribe($channel || 'chat');

    return $ws;
}


# ---- a full zone

# Subscribes to channels $from to $to, as much at a time as the answers find
# place.  Returns the numbers taken and refused, and whatever else was said.

sub fill {
    my ($ws, $from, $to) = @_;

    my (@taken, @refused, %errors, @other);

    while ($from <= $to) {
        my $last = $from + 499 < $to ? $from + 499 : $to;

        $ws->send_raw(join '', map {
            $ws->frame(payload => '{"event":"pusher:subscribe","data":'
                                  . '{"channel":"' . long_name($_) . '"}}');
        } $from .. $last);
        $from = $last + 1;

        my $frames = $ws->drain or return ([], [], {}, [ 'closed' ]);

        for my $f (@$frames) {
            my ($event) = $f->[1] =~ /^\{"event":"([^"]+)"/;
            my ($n) = $f->[1] =~ /"channel":"full-(\d+)-/;

            if ($f->[0] != TEXT || !defined $event) {
                push @other, $f->[1];

            } elsif ($event eq 'pusher_internal:subscription_succeeded') {
                push @taken, $n;

            } elsif ($event eq 'pusher:subscription_error') {
                push @refused, $n;

            } elsif ($event eq 'pusher:error') {
                my $code = from_json($f->[1])->{data}{code};
                $errors{ defined $code ? $code : 'null' }++;

            } else {
                push @other, $f->[1];
            }
        }
    }

    return (\@taken, \@refused, \%errors, \@other);
}


sub long_name { return 'full-' . $_[0] . '-' . 'q' x 150 }


subtest 'a full zone' => sub {
    my ($workers, $channels) = (2, 4000);
    my $server = Chat::Server->new(workers => $workers, zone => '1m',
        app => 'channels_per_connection 0;')->start;
    my $before = open_ws($server);

    # the first message makes what the store keeps
    serves($server, $before, 'before');

    my $base = status($server);
    my $start = time();
    my @greedy;

    for my $name ('the first one', 'another one') {
        my $ws = Chat::WebSocket->established(port => $server->port);
        my $from = 1 + @greedy * $channels;
        my ($taken, $refused, $errors, $other)
            = fill($ws, $from, $from + $channels - 1);

        push @greedy, $ws;

        cmp_ok(@$taken, '>', 100, "$name: channels are taken")
            if $ws == $greedy[0];
        cmp_ok(@$refused, '>', 100, "$name: others are refused");
        is(@$taken + @$refused, $channels, "$name: each is answered");
        is(join(', ', map { "$errors->{$_} x $_" } sort keys %$errors),
           @$refused . ' x null', "$name: with an error each, not fatal");
        is("@$other", '', "$name: and nothing else");

        # what one refusal says
        my $n = $refused->[-1];

        $ws->send_event({ event => 'pusher:subscribe',
                          data => { channel => long_name($n) } });

        my $e = $ws->next_event;
        is($e->{event}, 'pusher:error', "$name: pusher:error");
        is($e->{data}{code}, undef, "$name: of no code");
        like($e->{data}{message}, qr/\S/, "$name: with a text");

        $e = $ws->next_event;
        is($e->{event}, 'pusher:subscription_error',
           "$name: pusher:subscription_error");
        is($e->{channel}, long_name($n), "$name: for the channel");

        my $data = ref $e->{data} ? $e->{data} : from_json($e->{data});
        is($data->{status}, 503, "$name: with a status");

        next unless @$taken;

        # leaving one makes room for one
        $ws->unsubscribe(long_name($taken->[0]));
        $ws->send_event({ event => 'pusher:subscribe',
                          data => { channel => long_name($n) } });
        $e = $ws->next_event;
        is($e->{event}, 'pusher_internal:subscription_succeeded',
           "$name: there is room where it leaves another");
        is($e->{channel}, long_name($n), "$name: for this one");
    }

    my $seconds = time() - $start;
    my $full = status($server);

    cmp_ok($full->{zone_used_bytes}, '<=', $full->{zone_size_bytes},
           'the zone is no fuller than full');
    cmp_ok($full->{zone_used_bytes}, '>', 0.8 * $full->{zone_size_bytes},
           'but full');

    ok($before->nothing_waits, 'who was there before is');
    serves($server, $before, 'in a full zone');
    ok($_->nothing_waits, 'the refused one is connected') for @greedy;

    # gone without a word
    $_->disconnect for @greedy;

    ok(wait_for(10, sub { status($server)->{connections} == 1 }),
       'the greedy ones leave');

    my $after = status($server);

    is($after->{zone_used_bytes}, $base->{zone_used_bytes},
       'all their memory is free again');
    is($after->{$_}, $base->{$_}, "$_ as before")
        for qw(channels subscriptions);

    my $next = open_ws($server, long_name(1));
    ok($next, 'there is room for others');
    serves($server, $before, 'afterwards');

    my @alerts = $server->error_log =~ /^.*\[alert\].*$/mg;

    cmp_ok(scalar @alerts, '>=', 1, 'the log says so');
    cmp_ok(scalar @alerts, '<=', $workers * ($seconds + 2),
           'once a second at most');
    $server->expect_log(qr/chat can't subscribe to .*chat_zone is full/);
    $server->finish;
};


# ---- worker_shutdown_timeout

# Without it one would be sent away every 0.25 s, which makes 25 s.

subtest 'worker_shutdown_timeout' => sub {
    my $server = Chat::Server->new(workers => 1, http => 'chat_drain 1h;',
        main => 'worker_shutdown_timeout 1s;')->start;
    my @all = map { open_ws($server) } 1 .. 100;
    my %old = map { $_ => 1 } $server->worker_pids;
    my (%end, @bad);

    $server->reload;

    ok(read_all(10, \@all, sub {
           my ($ws, $f) = @_;

           $end{$ws} = 1 if $f->[0] eq 'eof';

           # some are told to reconnect before the time is over
           push @bad, $f->[1]
               unless $f->[0] eq 'eof'
                      || $f->[0] eq TEXT && $f->[1] =~ /"code":4200\b/
                      || $f->[0] eq CLOSE && unpack('n', $f->[1]) == 4200;
       }, sub { keys %end == @all }), 'all connections end');
    is("@bad", '', 'without a word, or with 4200');

    ok(wait_for(10, sub { !grep { $old{$_} } $server->all_worker_pids }),
       'the old workers are gone');

    # the dead ones' share of what is counted
    ok(wait_for(5, sub { status($server)->{connections} == 0 }),
       'they leave nothing behind');
    is(status($server)->{$_}, 0, "no $_") for qw(channels subscriptions);
    serves($server, open_ws($server), 'the new ones');
    $server->finish;
};


# ---- the configuration changes

sub descriptors {
    my ($server) = @_;

    return scalar(() = glob('/proc/' . $server->master_pid . '/fd/*'));
}


sub only_workers {
    my ($server, %pids) = @_;

    return wait_for(15, sub {
        return !grep { !$pids{$_} } $server->all_worker_pids;
    });
}


subtest 'chat goes and comes' => sub {
    my $server = Chat::Server->new->start;

    my $with = slurp($server->conf_file);
    my ($before) = $with =~ /^(.*?events \{)/s;
    my $port = $server->port;
    my $count = descriptors($server);
    my @counts;

    for my $round (1 .. 5) {
        my $ws = open_ws($server);
        my $text = $before;

        # at last the module itself goes, too
        $text =~ s/^load_module.*\n// if $round == 5;

        $server->write_conf(conf => $text . <<"END");
}
http {
    access_log off;
    server { listen 127.0.0.1:$port; return 200 "without chat"; }
}
END
        my %without = map { $_ => 1 } $server->reload;

        my $e = $ws->next_event(15);
        is($e->{data}{code}, 4200, "round $round: told to reconnect");
        $ws->disconnect;
        only_workers($server, %without);
        is(Chat::HTTP->new(port => $port)->get('/messages')->{body},
           'without chat', "round $round: without");

        $server->write_conf(conf => $with);

        ok(only_workers($server, map { $_ => 1 } $server->reload),
           "round $round: with");
        serves($server, open_ws($server), "round $round");

        # nginx closes the old workers' a moment later
        wait_for(5, sub { descriptors($server) == $count });
        push @counts, descriptors($server);
    }

    is("@counts", join(' ', ($count) x 5),
       "the master's descriptors are as many as before");
    is(scalar @{ Chat::HTTP->new(port => $port)->history('/messages') }, 5,
       'history has all');
    $server->finish;
};


# A reload that nginx refuses: the new line of the log.

sub refused_reload {
    my ($server) = @_;

    my $before = () = $server->error_log =~ /\[emerg\]/g;
    my @lines;

    kill 'HUP', $server->master_pid;
    wait_for(10, sub {
        @lines = $server->error_log =~ /^(.*\[emerg\].*)\n/mg;
        return @lines > $before;
    });

    return join "\n", @lines[$before .. $#lines];
}


subtest 'what a reload can not change' => sub {
    my $server = Chat::Server->new->start;
    my $ws = open_ws($server);
    my @workers = $server->worker_pids;
    my $database = $server->database;
    my $other = $server->dir . '/other/chat.db';
    my $count = descriptors($server);

    $server->expect_log(qr/\[emerg\].*(?:chat_zone|chat_database)/);

    for my $size ('16m', '4m') {
        my ($bytes) = $size =~ /(\d+)/;

        $server->write_conf(zone => $size);

        my $line = refused_reload($server);

        like($line, qr/chat_zone/, "chat_zone $size is refused");
        like($line, qr/\b8m\b|\b8388608\b/, 'the old size');
        like($line, qr/\b$size\b|\b@{[ $bytes * 1048576 ]}\b/,
             'and the new one');
        serves($server, $ws, "chat_zone $size");
    }

    $server->write_conf(zone => '8m', database => $other);

    my $line = refused_reload($server);

    like($line, qr/chat_database/, 'another chat_database is refused');
    like($line, qr/\Q"$database"/, 'the old path');
    like($line, qr/\Q"$other"/, 'and the new one');
    like($line, qr/\Qnginx.conf:\E\d+/, 'and the place');
    serves($server, $ws, 'another chat_database');

    is(join(' ', $server->all_worker_pids), "@workers",
       'the workers are the same');
    is(descriptors($server), $count, 'the master lost no descriptor');
    is(scalar @{ Chat::HTTP->new(port => $server->port)
                     ->history('/messages') }, 3, 'history goes on');
    ok($ws->nothing_waits, 'and so does the subscriber');

    $ws->disconnect;

    # a reload that changes nothing of that is taken
    $server->write_conf(database => $database);
    ok(only_workers($server, map { $_ => 1 } $server->reload),
       'the old configuration again');
    serves($server, open_ws($server), 'the old configuration again');

    # and after a restart all can be as it should
    $server->write_conf(database => $other, zone => '16m');
    $server->restart;
    is(Chat::HTTP->new(port => $server->port)->get('/messages')->{body},
       '[]', 'a restart takes the other database');
    is(post($server, 'there')->{status}, 201, 'and writes to it');
    ok(-s $other, 'which is there now');
    $server->finish;
};


subtest 'an app goes' => sub {
    my $app = <<'END';
    chat_app 99 { key otherkey; secret anothersecretthatnobodyknows; }
END
    my $locations = <<'END';
        location = /messages {
            chat_history chat app=17536051;
            chat_publish chat new_message app=17536051;
        }

        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
END
    my $other = <<'END';
        location = /other { chat_publish chat new_message app=99; }
END
    my $server = Chat::Server->new(http => $app,
                                   locations => $locations . $other)->start;

    my @path = (port => $server->port, path => '/app/otherkey?protocol=7');
    my $its = Chat::WebSocket->established(@path);
    my $ours = open_ws($server);

    $its->subscribe('chat');
    serves($server, $ours, 'two apps');
    ok($its->nothing_waits, "the other one's client hears nothing of it");

    my $res = Chat::HTTP->new(port => $server->port)
                  ->post('/other', { content => 'other' });
    is($its->next_event->{data}, $res->{body}, 'it has events of its own');

    $server->write_conf(http => '', locations => $locations);

    my %new = map { $_ => 1 } $server->reload;

    for my $ws ($its, $ours) {
        my $e = $ws->next_event(15);

        is($e->{data}{code}, 4200, 'a client is told to reconnect');
        $ws->send_close(4200);
        $ws->disconnect;
    }

    ok(only_workers($server, %new), 'the old workers end');

    my $ws = Chat::WebSocket->new(@path);

    is($ws->next_event->{data}{code}, 4001, 'its key is not known any more');
    $ws->disconnect;

    serves($server, open_ws($server), 'one app');

    $server->write_conf(http => $app);
    only_workers($server, map { $_ => 1 } $server->reload);
    ok(Chat::WebSocket->established(@path)->subscribe('chat'),
       'it comes back');
    $server->finish;
};


done_testing();
