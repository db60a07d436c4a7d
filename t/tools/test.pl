#!/usr/bin/perl

# test.pl PART|FILE ...: runs tests, and says how many of them passed.
#
# Parts: check, builds, unit, fuzz, tsan, lint, perl (t/*.t), e2e
# (t/e2e/*.test.mjs), storms (t/faults/*.test.mjs, in full with CHAT_WHOLE),
# and faults (what valgrind or the sanitizers have logged meanwhile, where
# CHAT_VALGRIND or CHAT_ASAN is set).  All of them speak TAP; a file that
# breaks off, or ends badly, counts as one more failure.
#
# Two files run at a time, or as many as CHAT_JOBS says; one where much is
# measured (CHAT_WHOLE).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Path ();
use TAP::Harness;

$| = 1;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my $root = Cwd::getcwd();
my $build = "$root/build";
my $taps = "$build/tap";

# reads what all others have logged, and so comes behind them
my $faults = 't/tools/faults.pl';

my %parts = (
    check  => sub { 't/tools/check.pl' },
    builds => sub { 't/tools/builds.pl' },
    unit   => \&unit_tests,
    fuzz   => sub { 't/tools/fuzz.pl' },
    tsan   => \&tsan_tests,
    lint   => sub { 't/tools/lint.pl' },
    perl   => sub { glob('t/*.t') },
    e2e    => sub { glob('t/e2e/*.test.mjs') },
    storms => sub { glob('t/faults/*.test.mjs') },
    faults => sub { $faults },
);

# the limit of one file, in seconds
my $limit = $ENV{CHAT_VALGRIND} || $ENV{CHAT_WHOLE} ? 3600 : 900;

# most files wait more than they work
my $jobs = $ENV{CHAT_JOBS} || ($ENV{CHAT_WHOLE} ? 1 : 2);


sub unit_tests {
    my ($only) = @_;

    system('t/tools/unit.pl');

    return map { m{^t/(unit/.*)\.c$}; "build/$1" }
           grep { !defined $only || $_ eq $only } glob('t/unit/*/*_test.c');
}


sub tsan_tests {
    system('t/tools/unit.pl', 'tsan');

    return map { m{^t/(tsan/.*)\.c$}; "build/$1" } glob('t/tsan/*.c');
}


sub command {
    my ($harness, $file) = @_;

    my @limit = ('timeout', '--foreground', '-k', '10', $limit);

    return [ @limit, $^X, '-It/lib', $file ] if $file =~ /\.t$/;
    return [ $^X, $file ]                    if $file =~ /\.pl$/;
    return [ @limit, 'node', '--test-reporter=./t/tools/tap.mjs', $file ]
        if $file =~ /\.mjs$/;

    return [ @limit, "./$file" ];
}


sub environment {
    $ENV{PATH} .= ':/usr/local/sbin:/usr/sbin:/sbin';
    $ENV{LC_ALL} = 'C.UTF-8';

    if (!$ENV{HOME} || !-w $ENV{HOME}) {
        $ENV{HOME} = "$build/home";
        File::Path::make_path($ENV{HOME});
    }

    my @lib = ("$build/test-nginx/usr/share/perl5", "$root/t/lib");
    push @lib, $ENV{PERL5LIB} if defined $ENV{PERL5LIB};
    $ENV{PERL5LIB} = join(':', @lib);

    my $asan = $ENV{CHAT_ASAN};
    my $module = $build . ($asan ? '/asan' : '') . '/ngx_chat_module.so';

    $ENV{TEST_NGINX_BINARY} = $asan ? "$build/asan/nginx.sh"
                                    : "$build/src-objs/nginx"
        if $asan || $ENV{NGINX_SRC};

    $ENV{TEST_NGINX_LOAD_MODULES} = $module;
    $ENV{CHAT_MODULE} = $module;
    $ENV{TEST_NGINX_SERVROOT} = "$build/servroot";

    # the clone may lie where no other user can look, such as in /root
    $ENV{TEST_NGINX_WORKER_USER} = 'root' if $> == 0;

    $ENV{CHAT_NGINX} = $ENV{TEST_NGINX_BINARY} if $ENV{TEST_NGINX_BINARY};

    # nginx would take it for a list of inherited sockets
    delete $ENV{NGINX};
    $ENV{NODE_PATH} = "$build/node_modules";
    $ENV{CHROMIUM} ||= program(qw(chromium chromium-browser google-chrome));

    $ENV{ASAN_OPTIONS} = 'detect_stack_use_after_return=1';
    $ENV{UBSAN_OPTIONS} = 'print_stacktrace=1';
}


sub program {
    my (@names) = @_;

    for my $name (@names) {
        for my $dir (split /:/, $ENV{PATH}) {
            return "$dir/$name" if -x "$dir/$name";
        }
    }

    return $names[0];
}


# A failed test's own words, as far as they have gone to stdout.

sub explain {
    my ($file) = @_;

    open my $fh, '<', "$taps/$file" or return;

    my ($lines, $on) = (0, 0);

    print "---- $file\n";

    while (my $line = <$fh>) {
        $on = $1 ? 1 : 0 if $line =~ /^\s*(not )?ok /;

        # a unit test's checks speak before the test does
        print $line
            if (($on && $line =~ /^\s*(?:not ok |#)/)
                || $line =~ /^# \S+\.c:\d+: failed/)
               && $line !~ /^\s*# Subtest/ && $lines++ < 200;
    }
}


environment();

File::Path::remove_tree($taps);
File::Path::make_path($taps);
$ENV{PERL_TEST_HARNESS_DUMP_TAP} = $taps;

File::Path::remove_tree("$build/valgrind") if $ENV{CHAT_VALGRIND};

my @files;

for my $arg (@ARGV) {
    push @files, $parts{$arg}           ? $parts{$arg}->()
                 : $arg =~ m{^t/unit/}  ? unit_tests($arg)
                 : $arg;
}

@files or die "no tests\n";

my $harness = TAP::Harness->new({
    exec      => \&command,
    color     => -t STDOUT ? 1 : 0,
    verbosity => 0,
    jobs      => $jobs,
    rules     => { seq => [ { par => [ grep { $_ ne $faults } @files ] },
                            $faults ] },
});

my $result = $harness->runtests(@files);

my ($passed, $failed) = (0, 0);

for my $file (@files) {
    my ($parser) = $result->parsers($file);

    my $bad = $parser->failed || ($parser->has_problems ? 1 : 0);

    $passed += $parser->passed;
    $failed += $bad;

    explain($file) if $bad;
}

print "\n$passed passed, $failed failed\n";

exit($failed ? 1 : 0);
