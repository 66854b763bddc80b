/*
 * /init of the machines of bench/boot.py. Prints which devices are bound to which drivers, and whether files below /dev can be opened.
 *
 * On the kernel's command line, in hexadecimal, what is emulated first:
 * usb=VENDOR:PRODUCT:BYTE,… by raw-gadget, as syz_usb_connect does; a driver's own requests read such bytes.
 * hid=VENDOR:PRODUCT by uhid, a mouse with one button. serio=PROTOCOL by serport on a pseudo terminal.
 * i2c=NAME a chip at 0x50 of the last adapter, by new_device.
 * open=FILE,FILE: the files to open. KCOV counts what that runs, and its addresses are printed as /rawcover of syz-manager has them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/kcov.h>
#include <linux/serio.h>
#include <linux/tty.h>
#include <linux/uhid.h>
#include <linux/usb/ch9.h>
#include <linux/usb/raw_gadget.h>

#define MOST_POINTS (256 << 10)
#define SECONDS 60 /* for probes that run later; an emulated machine is slow */

static struct usb_device_descriptor device = {
	.bLength = USB_DT_DEVICE_SIZE, .bDescriptorType = USB_DT_DEVICE, .bcdUSB = 0x0200,
	.bMaxPacketSize0 = 64, .bNumConfigurations = 1,
};
static struct {
	struct usb_config_descriptor config;
	struct usb_interface_descriptor interface;
} __attribute__((packed)) configuration = {
	{ .bLength = USB_DT_CONFIG_SIZE, .bDescriptorType = USB_DT_CONFIG, .wTotalLength = USB_DT_CONFIG_SIZE + USB_DT_INTERFACE_SIZE,
	  .bNumInterfaces = 1, .bConfigurationValue = 1, .bmAttributes = USB_CONFIG_ATT_ONE, .bMaxPower = 50 },
	{ .bLength = USB_DT_INTERFACE_SIZE, .bDescriptorType = USB_DT_INTERFACE, .bInterfaceClass = USB_CLASS_VENDOR_SPEC },
};

static unsigned int filling;

static void answer(int gadget, const struct usb_ctrlrequest *request)
{
	struct { struct usb_raw_ep_io io; char data[512]; } reply = { .io.length = request->wLength };
	int is_standard = (request->bRequestType & USB_TYPE_MASK) == USB_TYPE_STANDARD;

	memset(reply.data, filling, sizeof(reply.data));
	if (reply.io.length > sizeof(reply.data))
		reply.io.length = sizeof(reply.data);
	if (is_standard && request->bRequest == USB_REQ_SET_CONFIGURATION)
		ioctl(gadget, USB_RAW_IOCTL_CONFIGURE);
	if (is_standard && request->bRequest == USB_REQ_GET_DESCRIPTOR) {
		const void *text = NULL;
		size_t length = 0;

		if (request->wValue >> 8 == USB_DT_DEVICE)
			text = &device, length = USB_DT_DEVICE_SIZE;
		else if (request->wValue >> 8 == USB_DT_CONFIG)
			text = &configuration, length = USB_DT_CONFIG_SIZE + USB_DT_INTERFACE_SIZE;
		if (!text) {
			ioctl(gadget, USB_RAW_IOCTL_EP0_STALL);
			return;
		}
		if (length < reply.io.length)
			reply.io.length = length;
		memcpy(reply.data, text, reply.io.length);
	}
	ioctl(gadget, request->bRequestType & USB_DIR_IN ? USB_RAW_IOCTL_EP0_WRITE : USB_RAW_IOCTL_EP0_READ, &reply);
}

static void plug_in(const char *ids, int number)
{
	struct usb_raw_init udc = { "dummy_udc", "", USB_SPEED_HIGH };
	struct { struct usb_raw_event event; struct usb_ctrlrequest request; } got;
	unsigned int vendor, product;
	int gadget = open("/dev/raw-gadget", O_RDWR);

	if (sscanf(ids, "%x:%x:%x", &vendor, &product, &filling) != 3)
		return;
	sprintf((char *)udc.device_name, "dummy_udc.%d", number);
	device.idVendor = vendor;
	device.idProduct = product;
	if (gadget < 0 || ioctl(gadget, USB_RAW_IOCTL_INIT, &udc) || ioctl(gadget, USB_RAW_IOCTL_RUN)) {
		printf("GADGET %s\n", strerror(errno));
		return;
	}
	if (fork())
		return;
	for (;;) {
		got.event.length = sizeof(got.request);
		if (ioctl(gadget, USB_RAW_IOCTL_EVENT_FETCH, &got) == 0 && got.event.type == USB_RAW_EVENT_CONTROL)
			answer(gadget, &got.request);
	}
}

/* A HID device; uhid's requests are answered as long as the machine runs. */
static void create_hid(const char *ids)
{
	static const unsigned char mouse[] = {
		0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x01, 0x15, 0x00, 0x25, 0x01,
		0x95, 0x01, 0x75, 0x01, 0x81, 0x02, 0x95, 0x07, 0x81, 0x01, 0xc0,
	};
	struct uhid_event event = { .type = UHID_CREATE2 };
	int uhid = open("/dev/uhid", O_RDWR);

	strcpy((char *)event.u.create2.name, "bench");
	event.u.create2.rd_size = sizeof(mouse);
	memcpy(event.u.create2.rd_data, mouse, sizeof(mouse));
	event.u.create2.bus = BUS_USB;
	if (sscanf(ids, "%x:%x", &event.u.create2.vendor, &event.u.create2.product) != 2)
		return;
	if (uhid < 0 || write(uhid, &event, sizeof(event)) < 0) {
		printf("UHID %s\n", strerror(errno));
		return;
	}
	if (fork())
		return;
	while (read(uhid, &event, sizeof(event)) > 0) {
		if (event.type == UHID_GET_REPORT)
			event = (struct uhid_event){ .type = UHID_GET_REPORT_REPLY, .u.get_report_reply = { event.u.get_report.id, EIO } };
		else if (event.type == UHID_SET_REPORT)
			event = (struct uhid_event){ .type = UHID_SET_REPORT_REPLY, .u.set_report_reply = { event.u.set_report.id, EIO } };
		else
			continue;
		if (write(uhid, &event, sizeof(event)) < 0)
			break;
	}
	_exit(0);
}

/* A serial port of a protocol, which is there as long as its terminal is read. */
static void create_serio(const char *text)
{
	int master, slave = -1, unlocked = 0, discipline = N_MOUSE;
	unsigned long protocol = strtoul(text, NULL, 16);
	char name[32];
	unsigned int number;

	mkdir("/dev/pts", 0755);
	mount("devpts", "/dev/pts", "devpts", 0, NULL);
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (master >= 0 && !ioctl(master, TIOCSPTLCK, &unlocked) && !ioctl(master, TIOCGPTN, &number)) {
		sprintf(name, "/dev/pts/%u", number);
		slave = open(name, O_RDWR | O_NOCTTY);
	}
	if (slave < 0 || ioctl(slave, TIOCSETD, &discipline) || ioctl(slave, SPIOCSTYPE, &protocol)) {
		printf("SERPORT %s\n", strerror(errno));
		return;
	}
	if (fork())
		return;
	_exit(read(slave, name, sizeof(name)) < 0);
}

/* Writes a chip to the last adapter; whether there is one. */
static int create_chip(const char *name)
{
	char path[64];
	int number, adapter = -1;

	for (number = 31; number >= 0 && adapter < 0; number--) {
		sprintf(path, "/sys/bus/i2c/devices/i2c-%d/new_device", number);
		adapter = open(path, O_WRONLY);
	}
	if (adapter < 0)
		return 0;
	if (dprintf(adapter, "%s 0x50", name) < 0)
		printf("I2C %s\n", strerror(errno));
	close(adapter);
	return 1;
}

/* Prints BOUND BUS DRIVER DEVICE; returns how many. */
static int bound(int print)
{
	char path[1024];
	int count = 0;
	DIR *buses = opendir("/sys/bus"), *drivers, *links;
	struct dirent *bus, *driver, *link;
	struct stat state;

	while (buses && (bus = readdir(buses))) {
		snprintf(path, sizeof(path), "/sys/bus/%s/drivers", bus->d_name);
		drivers = bus->d_name[0] == '.' ? NULL : opendir(path);
		while (drivers && (driver = readdir(drivers))) {
			snprintf(path, sizeof(path), "/sys/bus/%s/drivers/%s", bus->d_name, driver->d_name);
			links = driver->d_name[0] == '.' ? NULL : opendir(path);
			while (links && (link = readdir(links))) {
				snprintf(path, sizeof(path), "/sys/bus/%s/drivers/%s/%s", bus->d_name, driver->d_name, link->d_name);
				if (lstat(path, &state) || !S_ISLNK(state.st_mode) || !strcmp(link->d_name, "module"))
					continue;
				count++;
				if (print)
					printf("BOUND %s %s %s\n", bus->d_name, driver->d_name, link->d_name);
			}
			if (links)
				closedir(links);
		}
		if (drivers)
			closedir(drivers);
	}
	if (buses)
		closedir(buses);
	return count;
}

/* Opens files under KCOV. */
static void open_all(char *files)
{
	int kcov = open("/sys/kernel/debug/kcov", O_RDWR);
	unsigned long *points = NULL, count, number;
	char *file;

	if (kcov >= 0 && !ioctl(kcov, KCOV_INIT_TRACE, MOST_POINTS))
		points = mmap(NULL, MOST_POINTS * sizeof(*points), PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	if (points == MAP_FAILED || !points || ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC)) {
		printf("KCOV %s\n", strerror(errno));
		points = NULL;
	}
	for (file = files ? strtok(files, ",") : NULL; file; file = strtok(NULL, ",")) {
		if (points)
			points[0] = 0;
		number = open(file, O_RDONLY | O_NONBLOCK) < 0 ? errno : 0;
		count = points ? points[0] : 0;
		printf("OPEN %s %s\n", file, number ? strerror(number) : "done");
		for (number = 1; number <= count && number < MOST_POINTS; number++)
			printf("POINT 0x%lx\n", points[number]);
	}
}

int main(void)
{
	char *usb = getenv("usb"), *hid = getenv("hid"), *serio = getenv("serio"), *i2c = getenv("i2c"), *ids;
	int second, before = -1, now, still = 0, number = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	for (ids = usb ? strtok(usb, ",") : NULL; ids; ids = strtok(NULL, ","))
		plug_in(ids, number++);
	if (hid)
		create_hid(hid);
	if (serio)
		create_serio(serio);
	/* until nothing more is bound for a while */
	for (second = 0; second < SECONDS && still < 10; second++) {
		now = bound(0);
		still = now == before ? still + 1 : 0;
		before = now;
		if (i2c && create_chip(i2c))
			i2c = NULL;
		sleep(1);
	}
	bound(1);
	open_all(getenv("open"));
	printf("END\n");
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
