# What happens to the database's files under the running server: removed, put
# back, replaced, without their WAL, damaged, on a file system that takes
# nothing.  Each has its answer, 503 where it can't be helped; what got a 201
# is not lost; and where the cause goes away, nothing has to be restarted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy move);
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp wait_for);
use Chat::WebSocket;

# some connections, so that both workers have to do with it
use constant CLIENTS => 8;

my ($server, $path, @http, @stored);
my $n = 0;
my $others;                     # files that took the database's place


sub clients {
    return map { Chat::HTTP->new(port => $server->port) } 1 .. CLIENTS;
}


sub start {
    my (%args) = @_;

    $server = Chat::Server->new(workers => 2, listen => 'reuseport', %args);
    $server->start;
    $path = $server->database;
    @http = clients();
    @stored = ();
    $others = 0;
}


# One POST on each connection; what gets a 201 is remembered.  Returns the
# statuses.

sub posts {
    my %status;

    for my $http (@http) {
        my $res = $http->post('/messages', { content => 'message ' . ++$n });

        $status{$res->{status}}++;
        push @stored, from_json($res->{body})->{id} if $res->{status} == 201;

        next if $res->{status} != 503;

        $status{'no Retry-After'}++
            unless ($res->{headers}{'retry-after'} || '') =~ /^\d+$/;
        $status{'no JSON'}++ unless from_json($res->{body})->{error};
        $status{'a path'}++ if $res->{body} =~ m{/};
    }

    return join ' ', sort keys %status;
}


sub gets {
    my %status;

    $status{$_->get('/messages')->{status}}++ for @http;

    return join ' ', sort keys %status;
}


sub heals {
    my ($name) = @_;

    ok(wait_for(20, sub { posts() eq '201' }), "$name: POSTs are taken again")
        or diag(posts());
    ok(wait_for(20, sub { gets() eq '200' }), "$name: history is there");
    is(posts(), '201', "$name: and that lasts");
}


# History of every connection is what was acknowledged, and stays that when
# all is killed.

sub nothing_lost {
    my ($name) = @_;

    my @ids = sort { $a <=> $b } @stored;

    for my $http (@http[0, 1, 2]) {
        is(join(' ', map { $_->{id} } @{ $http->history('/messages') }),
           "@ids", "$name: history is what got a 201");
    }

    $server->kill_all;
    $server->start;
    @http = clients();

    is(join(' ', map { $_->{id} } @{ $http[0]->history('/messages') }),
       "@ids", "$name: also after kill -9 and a start");
    is(sqlite('PRAGMA integrity_check;'), 'ok', "$name: the file is whole");
}


sub sqlite {
    my ($sql, $file) = @_;

    $file = $path unless defined $file;
    my $text = `sqlite3 -cmd '.timeout 30000' '$file' "$sql"`;
    chomp $text;

    return $text;
}


sub epoch { $http[0]->get('/messages?limit=1')->{headers}{'chat-epoch'} }

# Subscribers learn that what they know is of another database.

sub told {
    my ($name, @ws) = @_;

    my %codes;

    $codes{$_->wait_close(20)}++ for @ws;

    is_deeply(\%codes, { 4200 => scalar @ws },
              "$name: subscribers are told to reconnect");

    # whoever comes now may come to the worker that is the last to see it

    my $lines = 2 * ++$others;

    ok(wait_for(10, sub {
           $lines <= (() = $server->error_log =~ /database is another one,/g);
       }), "$name: by each worker");
}


sub crit {
    my ($like, $name) = @_;

    ok(wait_for(10, sub { $server->error_log =~ /\[crit\].*$like/ }),
       "$name: the log has it as crit");
}


subtest 'the file is moved away, and back' => sub {
    start();
    is(posts(), '201', 'before');

    my $ws = Chat::WebSocket->established(port => $server->port);
    $ws->subscribe('chat');

    move($path, "$path.away") or die;
    crit(qr/removed under the running server; put it back/, 'alone');
    is(posts(), '503', 'POSTs are refused');
    is(gets(), '503', 'history, too');
    ok($ws->nothing_waits, 'what was refused was not sent');
    ok(Chat::WebSocket->established(port => $server->port)
           ->subscribe('other'), 'who has nothing to do with it is served');

    # wherever it is, it has all
    is(sqlite('SELECT count(*) FROM messages;', "$path.away"), scalar @stored,
       'what was stored is in the file that was moved');

    move("$path.away", $path) or die;
    heals('put back');
    nothing_lost('put back');

    move("$path$_", "$path$_.away") for '-wal', '-shm', '';
    is(posts(), '503', 'all three: refused');
    move("$path$_.away", "$path$_") for '', '-wal', '-shm';
    heals('all three back');
    nothing_lost('all three back');

    $server->finish;
};


subtest 'the file is removed' => sub {
    start();
    is(posts(), '201', 'before');

    my $old = epoch();
    # ahead of what comes later
    posts() for 1 .. 20;
    is(sqlite("VACUUM INTO '$path.backup';"), '', 'a backup');

    unlink map { "$path$_" } '-wal', '-shm', '';

    crit(qr/removed under the running server/, 'removed');
    is(posts(), '503', 'refused');
    ok(!-e $path, 'nothing takes its place by itself');

    # neither by a new worker
    my ($pid) = $server->worker_pids;
    $server->expect_death($pid);
    $server->expect_log(qr/exited on signal 9/);
    kill 'KILL', $pid;
    wait_for(10, sub {
        my @now = $server->worker_pids;
        return @now == 2 && !grep { $_ == $pid } @now;
    });
    @http = clients();
    is(posts(), '503', 'nor by a new worker');
    ok(!-e $path, 'which makes none either');

    # more than one turn of the event loop sends away
    my @ws = map { Chat::WebSocket->established(port => $server->port) }
                 1 .. 300;
    $_->subscribe('chat') for @ws;

    @stored = ();
    open my $fh, '>', $path or die;
    close $fh;

    heals('an empty file');
    isnt(epoch(), $old, 'an empty file: another Chat-Epoch');
    told('an empty file', @ws);
    nothing_lost('an empty file');

    # the backup is found after all; ids behind it have been used

    my $new = epoch();

    my $ws = Chat::WebSocket->established(port => $server->port);
    $ws->subscribe('chat');
    rename "$path.backup", $path or die;
    told('the old backup', $ws);
    heals('the old backup');
    like(epoch(), qr/^(?!$old|$new)\w+$/,
         'the old backup: neither Chat-Epoch, as ids of both come again');
    is(sqlite('PRAGMA integrity_check;'), 'ok',
       'the old backup: the file is whole');

    $server->finish;
};


# What clients were told of the old one must not be told of the new.

subtest 'what the zone has of the file before' => sub {
    start(locations => <<'END');
        location = /messages {
            chat_history cache-chat;
            chat_publish cache-chat new_message;
        }
        location /app/ { chat_websocket; }
END

    my $key = { 'Idempotency-Key' => 'once' };
    my $http = $http[0];

    $http->post('/messages', { content => 'old' });
    my $first = $http->post('/messages', { content => 'twice' }, $key);
    is($http->post('/messages', { content => 'twice' }, $key)->{body},
       $first->{body}, 'the key has an answer');

    my $ws = Chat::WebSocket->established(port => $server->port);
    $ws->subscribe('cache-chat');
    is($ws->next_event->{event}, 'new_message', 'an event is cached');

    rename $path, "$path.away" or die;
    unlink "$path-wal", "$path-shm";
    open my $fh, '>', $path or die;
    close $fh;
    $server->expect_log(qr/removed or replaced under the running server/);
    told('an empty file', $ws);
    is(($server->incident('database_replaced') || {})->{detail},
       'another file is used now, with another epoch',
       'the console tells of it');

    $ws = Chat::WebSocket->established(port => $server->port);
    $ws->subscribe('cache-chat');
    is($ws->next_event->{event}, 'pusher:cache_miss', 'nothing is cached');

    my $again = $http->post('/messages', { content => 'twice' }, $key);
    is($again->{status}, 201, 'the key is new');
    is(from_json($again->{body})->{id}, 1, 'and the message, too');
    is_deeply([ map { $_->{content} } @{ $http->history('/messages') } ],
              [ 'twice' ], 'which is stored');
    is($ws->next_event->{event}, 'new_message', 'and sent');

    is($http->post('/messages', { content => 'twice' }, $key)->{body},
       $again->{body}, 'the key has an answer again');

    $server->finish;
};


subtest 'another file takes its place' => sub {
    for my $clean (1, 0) {
        my $name = $clean ? 'without the WAL of the old one'
                          : 'beside the WAL of the old one';

        start();
        is(posts(), '201', 'before');

        my $old = epoch();

        is(sqlite("VACUUM INTO '$path.backup';"), '', 'a backup');
        my @backup = @stored;

        posts() for 1 .. 3;

        if ($clean) {
            unlink $path;
            is(posts(), '503', 'refused without');
            unlink "$path-wal", "$path-shm";
        }

        # a new file, as a restore makes it
        rename "$path.backup", $path or die;
        @stored = @backup;

        if (!$clean) {
            # this may come a moment before it is seen
            wait_for(10, sub {
                $server->error_log =~ /is another file now/;
            });
        }

        heals($name);
        isnt(epoch(), $old, "$name: another Chat-Epoch, since ids come again");
        nothing_lost($name);
        $server->finish;
    }
};


# The first to see that may be a new worker, which has no handle on the old
# file.  What only the WAL has of that is for those who have it open.

subtest 'another file takes its place, and nginx is reloaded' => sub {
    start();
    is(posts(), '201', 'before');
    is(sqlite("VACUUM INTO '$path.backup';"), '', 'a backup');

    my @backup = @stored;

    posts() for 1 .. 3;

    my @old = $server->worker_pids;
    my $all = @stored;

    rename $path, "$path.away" or die;
    rename "$path.backup", $path or die;
    $server->reload;

    ok(wait_for(20, sub { !grep { kill 0, $_ } @old }),
       'the old workers are gone');
    is(sqlite('SELECT count(*) FROM messages;', "$path.away"), $all,
       'what was stored is in the file that was moved');

    @http = clients();
    @stored = @backup;
    heals('the backup');
    nothing_lost('the backup');
    $server->finish;
};


for my $case ([ 'the WAL', '-wal' ], [ 'WAL and index', '-wal', '-shm' ],
              [ 'the index', '-shm' ])
{
    my ($name, @suffixes) = @$case;

    subtest "$name: removed" => sub {
        start();
        posts() for 1 .. 3;

        unlink map { "$path$_" } @suffixes;

        heals($name);
        posts() for 1 .. 3;
        crit(qr/removed or replaced under the running server/, $name);
        nothing_lost($name);

        # and once more, with no POST that would see it
        posts();
        unlink map { "$path$_" } @suffixes;
        my $crits = () = $server->error_log =~ /removed or replaced/g;
        wait_for(10, sub {
            my $now = () = $server->error_log =~ /removed or replaced/g;
            return $now > $crits;
        });
        heals("$name, in a quiet hour");
        nothing_lost("$name, in a quiet hour");
        $server->finish;
    };
}


subtest 'a damaged file' => sub {
    start(locations => <<'END');
        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location = /large {
            chat_history  large;
            chat_publish  large new_message;
        }
END
    is(posts(), '201', 'before');
    is($http[0]->post('/large', { content => 'x' x 10_000 })->{status}, 201,
       'a large one') for 1 .. 5;
    is(posts(), '201', 'and behind');
    $server->stop;

    # two workers that close the file at one time may both leave the WAL
    sqlite('PRAGMA wal_checkpoint(TRUNCATE)');

    # its overflow pages say that they are followed by pages beyond the end
    my $bytes = slurp($path);
    my $hits = 0;

    for (my $i = 4096; $i < length $bytes; $i += 4096) {
        if (substr($bytes, $i + 4, 4092) eq 'x' x 4092) {
            substr($bytes, $i, 4, "\x7f\xff\xff\xff");
            $hits++;
        }
    }

    cmp_ok($hits, '>', 0, 'pages are damaged');
    Chat::Server::spew($path, $bytes);

    $server->start;
    @http = clients();

    is($http[0]->get('/large')->{status}, 503, 'what can not be read: 503');
    crit(qr/sqlite3_step\(\) failed: \d+ "database disk image is malformed"/,
         'damaged');
    is(gets(), '200', 'other history is given');
    is(posts(), '201', 'and messages are taken');
    is(join(' ', map { $_->{id} } @{ $http[0]->history('/messages') }),
       join(' ', @stored), 'which are in history');
    $server->finish;
};


subtest 'not a database any more' => sub {
    start();
    is(posts(), '201', 'before');

    rename $path, "$path.away" or die;
    is(posts(), '503', 'moved away');
    Chat::Server::spew($path, "not a database\n" x 1000);

    crit(qr/the file is not an SQLite database/, 'a text');
    is(posts(), '503', 'POSTs are refused');
    is(gets(), '503', 'history, too');
    is(slurp($path), "not a database\n" x 1000, 'the file is left alone');

    rename "$path.away", $path or die;
    heals('the right one');
    nothing_lost('the right one');
    $server->finish;
};


# Where file systems can be mounted, as root and not in every container.

sub mounted {
    my ($dir, @options) = @_;

    return $> == 0
           && system("mount @options '$dir' > /dev/null 2>&1") == 0;
}


# With a WAL from before, what only reads is served there.

for my $killed (0, 1) {
    subtest 'a read-only file system' . ($killed ? ', and a WAL' : '') => sub {
        read_only($killed);
    };
}


sub read_only {
    my ($killed) = @_;

    start();
    is(posts(), '201', 'before');
    $killed ? $server->kill_all : $server->stop;

    my $dir = $server->dir . '/data';
    my $mounted = mounted($dir, '--bind', "'$dir'");

    note($mounted ? 'a read-only mount' : 'permissions instead of a mount');

    if ($mounted) {
        system("mount -o remount,bind,ro '$dir'") == 0 or die;

    } else {
        # what SQLite gets is the same, but for root, who may write anyway
        chmod 0555, $dir;
        chmod 0444, $path;
    }

    if ($mounted || $> != 0) {
        # where nginx can see that, it does not start
        my $up = eval { $server->start; 1 };

        if ($up) {
            @http = clients();
            is(posts(), '503', 'POSTs are refused');
            like(gets(), qr/^(?:200|503)$/, 'history has its answer');
        }

        $mounted ? system("mount -o remount,bind,rw '$dir'")
                 : (chmod(0755, $dir), chmod(0644, $path));

        if (!$up) {
            $server->expect_log(qr/\[emerg\]/);
            $server->start;
            @http = clients();
        }

        heals('writable again');
        nothing_lost('writable again');
    }

    $server->stop;
    system("umount '$dir'") if $mounted;
    $server->finish;
}


done_testing();
