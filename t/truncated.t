# The database file is truncated or overwritten in its place, under the running
# server: from then on no POST is acknowledged, and the log has it as crit.  A
# backup that is moved into its place is opened.  What other processes do by
# SQLite, VACUUM among it, is no such thing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp spew stop_worker wait_for);

use constant CLIENTS => 6;

my ($server, $path, @http, @pids);
my $n = 0;


sub start {
    $server = Chat::Server->new(workers => 2, listen => 'reuseport')->start;
    $path = $server->database;
    @http = map { Chat::HTTP->new(port => $server->port) } 1 .. CLIENTS;
    @pids = $server->worker_pids;
}


sub posts {
    my ($size) = @_;

    my %status;

    for my $http (@http) {
        my $text = 'message ' . ++$n . 'x' x ($size || 0);
        $status{$http->post('/messages', { content => $text })->{status}}++;
    }

    return join ' ', sort keys %status;
}


sub sqlite {
    my ($sql) = @_;

    my $text = `sqlite3 -cmd '.timeout 30000' '$path' "$sql"`;
    chomp $text;

    return $text;
}


sub overwrite {
    my ($file, $offset, $bytes) = @_;

    open my $fh, '+<:raw', $file or die "open $file: $!";
    seek $fh, $offset, 0;
    print $fh $bytes;
    close $fh or die "close $file: $!";
}


sub cut {
    my ($file, $size) = @_;

    truncate $file, $size or die "truncate $file: $!";
}


# What was stored last is in the file, or only in the WAL.

my @cases = (
    [ 'zero bytes',          sub { cut($path, 0) } ],
    [ 'one page',            sub { cut($path, 4096) } ],
    [ 'half of it',          sub { cut($path, int(-s $path) / 2) } ],
    [ 'less than a page',    sub { cut($path, 50) } ],
    [ 'its first page gone', sub { overwrite($path, 0, "\0" x 4096) } ],
    [ 'a text copied over',  sub { spew($path, "a text\n" x 10_000) } ],
    [ 'zeros for all',       sub { spew($path, "\0" x -s $path) } ],
    [ 'a small, old backup copied over', sub { spew($path,
                                                    slurp("$path.old")) } ],
    [ 'a new backup copied over', sub { spew($path, slurp("$path.backup")) } ],
    [ 'its WAL cut',         sub { cut("$path-wal", 0) }, 'in the WAL' ],
);


for my $case (@cases) {
    my ($what, $destroy, $wal) = @$case;

    for my $mode ('in the file', 'in the WAL') {
        next if $wal && $mode ne $wal;

        subtest "$what, what was stored is $mode" => sub {
            start();
            is(posts(9000), '201', 'before');
            is(sqlite("VACUUM INTO '$path.old';"), '', 'an old backup');
            is(posts(9000), '201', 'and after') for 1 .. 4;
            sqlite('PRAGMA wal_checkpoint(TRUNCATE)');
            is(sqlite("VACUUM INTO '$path.backup';"), '', 'a backup');
            is(posts(), '201', 'more of them');
            is(sqlite('PRAGMA wal_checkpoint(PASSIVE)') =~ /^0/, 1, 'moved')
                if $mode eq 'in the file';

            # each worker has the file in use
            is(posts(), '201', 'and more');
            $destroy->();

            is(posts(), '503', 'no POST is acknowledged') for 1 .. 3;
            ok(wait_for(10, sub {
                   $server->error_log =~ /\[crit\].*truncated or overwritten/;
               }), 'the log has it as crit');

            rename "$path.backup", $path or die;
            ok(wait_for(20, sub { posts() eq '201' }),
               'with a backup in its place they are taken again');
            is(sqlite('PRAGMA integrity_check;'), 'ok', 'which is whole');
            is(from_json($http[0]->get('/messages?after=0&limit=1')->{body})
                   ->[0]{id}, 1, 'and has its history');
            is(join(' ', $server->worker_pids), "@pids",
               'the workers are the same');
            $server->finish;
        };
    }
}


subtest 'VACUUM' => sub {
    start();
    is(posts(9000), '201', 'messages') for 1 .. 20;
    sqlite('PRAGMA wal_checkpoint(TRUNCATE)');

    my $before = -s $path;

    is(sqlite('DELETE FROM messages WHERE id > 5'), '', 'most are removed');

    # it ends with the file cut, while messages come
    my $pid = fork();
    die "fork: $!" unless defined $pid;
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        exec 'sqlite3', '-cmd', '.timeout 30000', $path,
             'VACUUM; PRAGMA wal_checkpoint(PASSIVE);';
    }

    my %status;
    my $done = 0;

    while (!$done) {
        $done = waitpid($pid, 1) == $pid;
        $status{posts()}++;
    }

    ok(wait_for(10, sub {
           $status{posts()}++;
           sqlite('PRAGMA wal_checkpoint(PASSIVE)');
           return -s $path < $before / 2;
       }), 'the file is smaller');
    $status{posts()}++ for 1 .. 5;
    is(join(' ', keys %status), '201', 'all messages are taken');
    is(sqlite('PRAGMA integrity_check;'), 'ok', 'the file is whole');
    unlike($server->error_log, qr/\[crit\]/, 'nothing is logged');
    $server->finish;
};


# What another process may do between two looks of the workers: the file becomes
# smaller, and what that process adds is in the WAL, or on its way to the file.

subtest 'VACUUM, and then INSERT' => sub {
    my %more = (
        'in the WAL'  => '',
        'in the file' => 'PRAGMA wal_checkpoint(PASSIVE)',
    );

    for my $where (sort keys %more) {
        start();
        is(posts(9000), '201', 'messages') for 1 .. 20;
        sqlite('PRAGMA wal_checkpoint(TRUNCATE)');
        is(posts(), '201', 'each worker looks');

        my $before = -s $path;

        # they hold no lock now, nor read
        stop_worker($_) for @pids;
        sqlite("PRAGMA wal_autocheckpoint = 0;
                DELETE FROM messages WHERE id > 5;
                VACUUM;
                PRAGMA wal_checkpoint(TRUNCATE);
                CREATE TABLE others (text);
                WITH RECURSIVE n(i) AS (VALUES (1)
                    UNION ALL SELECT i + 1 FROM n WHERE i < 20)
                INSERT INTO others SELECT hex(randomblob(4000)) FROM n;
                $more{$where}");

        my $between = -s $path;
        kill 'CONT', @pids;

        cmp_ok($between, '<', $before, "$where: the file is smaller");
        is(posts(), '201', "$where: messages are taken") for 1 .. 5;
        is(sqlite('SELECT count(*) FROM others;'), 20, 'all is there');
        is(sqlite('PRAGMA integrity_check;'), 'ok', 'the file is whole');
        unlike($server->error_log, qr/\[crit\]/, 'nothing is logged');
        $server->finish;
    }
};


done_testing();
