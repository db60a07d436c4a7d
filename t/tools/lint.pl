#!/usr/bin/perl

# lint.pl [FILE ...]: clang-tidy (see .clang-tidy) and cppcheck (see
# t/tools/cppcheck.suppress) over the module's sources.  One test for each
# file with clang-tidy, and one for cppcheck.
#
# A file that clang-tidy found clean is not looked at again until it, a
# header or the configuration has changed: build/lint/ has a stamp for it.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use POSIX ();
use Test::More;

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my $dir = 'build/lint';
my $variant = $ENV{NGINX_SRC} ? 'src-' : '';
my $nginx = "build/${variant}nginx/src";

# nginx's headers are not ours to be found fault with
my @flags = (qw(-std=gnu11 -Wall -Wextra -Wno-unused-parameter
                -Ingx_chat_module -isystem), "build/${variant}objs",
             map { ('-isystem', "$nginx/$_") }
             qw(core event event/modules event/quic os/unix
                http http/modules http/v2 http/v3));

my @files = @ARGV ? @ARGV
                  : sort split /\n/, `find ngx_chat_module -name '*.c'`;

# a change of one of these may matter to all files
my $newest = 0;

for my $path ('.clang-tidy', 't/tools/lint.pl', "build/${variant}objs/.key",
              split /\n/, `find ngx_chat_module -name '*.h'`)
{
    my $time = (stat $path)[9];
    $newest = $time if defined $time && $time > $newest;
}

chomp(my $jobs = `nproc`);


sub stamp {
    my ($file) = @_;

    (my $name = $file) =~ tr{/}{-};

    return "$dir/$name";
}


sub is_clean {
    my ($file) = @_;

    my $time = (stat stamp($file) . '.clean')[9];

    return defined $time && $time > $newest && $time > (stat $file)[9];
}


sub start {
    my ($file) = @_;

    # a file at a time: with more, its analyzer of va_list is confused
    my @command = ('clang-tidy', '--quiet', $file, '--', @flags);

    my $pid = fork();
    defined $pid or die "fork: $!";

    if ($pid == 0) {
        open STDOUT, '>', stamp($file) . '.log' or POSIX::_exit(127);
        open STDERR, '>&', \*STDOUT;

        { exec { $command[0] } @command }
        POSIX::_exit(127);
    }

    return $pid;
}


sub report {
    my ($name, $log, $ok) = @_;

    ok($ok, $name) and return;

    open my $fh, '<', $log or return;

    while (my $line = <$fh>) {
        diag($line =~ s/\n$//r) if $line !~ /^\d+ warnings? /;
    }
}


sub tidy {
    my %running;

    my $finish = sub {
        my $pid = wait();
        my $status = $?;
        my $file = delete $running{$pid};
        my $stamp = stamp($file);

        report("clang-tidy $file", "$stamp.log", $status == 0);

        if ($status == 0 && open my $fh, '>', "$stamp.clean") {
            close $fh;
        }
    };

    for my $file (@files) {
        if (is_clean($file)) {
            pass("clang-tidy $file, as before");
            next;
        }

        unlink stamp($file) . '.clean';

        $finish->() if keys %running >= $jobs;
        $running{start($file)} = $file;
    }

    $finish->() while %running;
}


sub cppcheck {
    my $log = "$dir/cppcheck.log";

    # nginx's headers are left out: they take it hours, and it goes by what
    # it sees of a function here
    my $status = system("cppcheck --quiet -j $jobs --std=c11 --language=c"
                        . " --enable=warning,performance,portability"
                        . " --inline-suppr --error-exitcode=1"
                        . " --suppressions-list=t/tools/cppcheck.suppress"
                        . " --cppcheck-build-dir=$dir/cppcheck"
                        . " -Ingx_chat_module @files > $log 2>&1");

    report('cppcheck', $log, $status == 0);
}


File::Path::make_path($dir, "$dir/cppcheck");

plan(tests => @files + 1);

cppcheck();
tidy();
