/* SPDX-License-Identifier: Apache-2.0 */
/* qt PORT: Qt 6 opens libssl itself, and looks each function up with dlsym. */
#include <QCoreApplication>
#include <QSslSocket>
#include <cstdio>

int main(int argc, char **argv)
{
	QCoreApplication application(argc, argv);
	QSslSocket socket;

	socket.setPeerVerifyMode(QSslSocket::VerifyNone);
	socket.connectToHostEncrypted("127.0.0.1", static_cast<quint16>(atoi(argv[1])));
	std::printf("encrypted %d\n", socket.waitForEncrypted(20000));
	socket.write("GET / HTTP/1.0\r\n\r\n");
	std::printf("answered %d\n", socket.waitForReadyRead(20000));
	return 0;
}
