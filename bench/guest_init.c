/*
 * /init of the machines of bench/boot.py. Prints which devices are bound to which drivers, and whether files below /dev can be opened.
 *
 * usb=VENDOR:PRODUCT (hexadecimal) on the kernel's command line: first plugs such a device in by raw-gadget, as syz_usb_connect does.
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

static void answer(int gadget, const struct usb_ctrlrequest *request)
{
	struct { struct usb_raw_ep_io io; char data[512]; } reply = { .io.length = request->wLength };
	int is_standard = (request->bRequestType & USB_TYPE_MASK) == USB_TYPE_STANDARD;

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
	/* a driver's own requests read zeros */
	ioctl(gadget, request->bRequestType & USB_DIR_IN ? USB_RAW_IOCTL_EP0_WRITE : USB_RAW_IOCTL_EP0_READ, &reply);
}

static void plug_in(const char *ids)
{
	struct usb_raw_init udc = { "dummy_udc", "dummy_udc.0", USB_SPEED_HIGH };
	struct { struct usb_raw_event event; struct usb_ctrlrequest request; } got;
	unsigned int vendor, product;
	int gadget = open("/dev/raw-gadget", O_RDWR);

	if (sscanf(ids, "%x:%x", &vendor, &product) != 2)
		return;
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
	char *usb = getenv("usb");
	int second, before = -1, now, still = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (usb)
		plug_in(usb);
	/* until nothing more is bound for a while */
	for (second = 0; second < SECONDS && still < 10; second++) {
		now = bound(0);
		still = now == before ? still + 1 : 0;
		before = now;
		sleep(1);
	}
	bound(1);
	open_all(getenv("open"));
	printf("END\n");
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
